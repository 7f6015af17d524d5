import { connect as connectSession, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { speaksHttp2 } from './http2-connector'

export interface ProbeRequest {
  readonly origin: string
  readonly connect: buildConnector.connector
  readonly timeoutMs: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly host: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

export interface ProbeAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  /** At most `MAX_BODY` bytes. */
  readonly body: Buffer
}

const MAX_BODY = 65_536

/**
 * Sends one request on a connection of its own and closes it.
 *
 * @returns undefined if the server chose another protocol than HTTP/2
 */
export async function probeHttp2(request: ProbeRequest): Promise<ProbeAnswer | undefined> {
  const connection: Connection = { socket: undefined, isOver: false }
  const close = (): void => {
    connection.isOver = true
    connection.socket?.destroy()
  }
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    close()
    reject(new DOMException('no answer in time', 'TimeoutError'))
  }, request.timeoutMs)
  try {
    return await Promise.race([late, exchange(request, connection)])
  } finally {
    clearTimeout(timer)
    close()
  }
}

interface Connection {
  socket: Socket | undefined
  isOver: boolean
}

async function exchange(request: ProbeRequest, connection: Connection): Promise<ProbeAnswer | undefined> {
  const socket = await open(request)
  connection.socket = socket
  // Opened after the time was over: no one waits for it.
  if (connection.isOver) socket.destroy()
  if (!speaksHttp2(socket)) return undefined
  return ask(connectSession(request.origin, { createConnection: () => socket }), request)
}

function open({ origin, connect }: ProbeRequest): Promise<Socket> {
  const { protocol, host, hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    connect({ protocol, host, hostname, port }, (error, socket) => (error ? reject(error) : resolve(socket)))
  })
}

function ask(session: ClientHttp2Session, request: ProbeRequest): Promise<ProbeAnswer> {
  const { method, path, host, headers, body, origin } = request
  const stream = session.request(
    { ':method': method, ':path': path, ':authority': host ?? new URL(origin).host, ...headers },
    { endStream: body === undefined },
  )
  if (body !== undefined) stream.end(body)
  return new Promise((resolve, reject) => {
    let head: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    let bytes = 0
    stream.on('response', received => (head = received))
    stream.on('trailers', received => (trailers = received))
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= MAX_BODY) chunks.push(chunk)
    })
    session.on('error', reject)
    stream.on('error', reject)
    stream.on('close', () => {
      if (head[':status'] === undefined || stream.rstCode !== 0) return reject(new Error('the stream was reset'))
      resolve({ status: Number(head[':status']), headers: head, trailers, body: Buffer.concat(chunks) })
    })
  })
}
