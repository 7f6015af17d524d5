import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates'

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

export interface Http2Upstream {
  /** `http://127.0.0.1:PORT`, or `https://localhost:PORT`. */
  readonly url: string
  readonly port: number
  /** Header sections in the order of their arrival. */
  readonly requests: IncomingHttpHeaders[]
  /** Open sessions. */
  readonly sessions: Set<ServerHttp2Session>
  /** Sessions opened since the start. */
  opened: number
  handler: StreamHandler
  stop(): Promise<void>
}

const running = new Set<Http2Upstream>()

// A failed test must not keep mocha alive.
after(async () => {
  await Promise.all([...running].map(upstream => upstream.stop()))
})

/** An upstream that speaks HTTP/2 only: over TLS with a certificate, else by prior knowledge. */
export async function startHttp2Upstream(
  handler: StreamHandler = (stream, headers) => {
    if (stream.destroyed) return
    stream.respond({ ':status': 200 })
    stream.end(`ok ${headers[':path']}`)
  },
  { tls, ...options }: ServerOptions & { tls?: Certificate; port?: number } = {},
): Promise<Http2Upstream> {
  const server = (
    tls ? createSecureServer({ ...options, cert: tls.cert, key: tls.key }) : createServer(options)
  ) as Http2Server
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', session => {
    upstream.opened++
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    upstream.requests.push(headers)
    upstream.handler(stream, headers)
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const upstream: Http2Upstream = {
    url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    port,
    requests: [],
    sessions,
    opened: 0,
    handler,
    stop: async () => {
      running.delete(upstream)
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const session of sessions) session.destroy()
      await closed
    },
  }
  running.add(upstream)
  return upstream
}
