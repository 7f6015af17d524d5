import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocket, WebSocketServer, type ClientOptions } from 'ws'
import { answerOf, type Answer } from './send'
import { startUpstream, type RunningUpstream } from './start-upstream'

export interface WebSocketUpstream extends RunningUpstream {
  /** The sockets accepted so far, in their order. */
  readonly sockets: readonly WebSocket[]
  /** The handshakes seen so far. */
  readonly handshakes: IncomingMessage[]
}

/** An upstream that accepts WebSockets, and sends back what it gets unless `onSocket` says otherwise. */
export async function startWebSocketUpstream(onSocket: (socket: WebSocket) => void = echo): Promise<WebSocketUpstream> {
  const sockets: WebSocket[] = []
  const handshakes: IncomingMessage[] = []
  const upstream = await startUpstream()
  const server = new WebSocketServer({
    server: upstream.server,
    handleProtocols: protocols => [...protocols].at(-1) ?? false,
  })
  server.on('connection', (socket, request) => {
    sockets.push(socket)
    handshakes.push(request)
    socket.on('error', () => undefined) // a connection that breaks is what some tests want
    onSocket(socket)
  })
  const stop = upstream.stop.bind(upstream)
  return Object.assign(upstream, {
    sockets,
    handshakes,
    stop: async () => {
      for (const socket of sockets) socket.terminate()
      await stop()
    },
  })
}

/** Sends every message back, and reads no more than is taken. */
export function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => {
    socket.pause()
    socket.send(data as Buffer, { binary: isBinary }, () => socket.resume())
  })
}

/** A client's WebSocket, once it is open. */
export async function openWebSocket(
  url: string,
  { protocols = [], ...options }: ClientOptions & { protocols?: string[] } = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocols, options)
  await once(socket, 'open')
  return socket
}

/** What a client gets in the place of a WebSocket. */
export async function refusedWebSocket(url: string, options: ClientOptions = {}): Promise<Answer> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), options)
  socket.on('error', () => undefined)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  return answerOf(response)
}

/** The next message, as text. */
export async function messageOn(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

/** Waits for the end; the code, 1006 where there was no closing handshake. */
export async function closeOf(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close')) as [number]
  return code
}
