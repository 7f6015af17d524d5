import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the upstream saw of one request. The body is the handler's to read; read here, it would be lost for it. */
export interface SeenRequest {
  readonly method: string
  /** Path and query as they arrived. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly httpVersion: string
}

export interface RunningUpstream {
  /** `http://127.0.0.1:PORT`, without a slash at the end: a target for `gateway.yaml`. */
  readonly url: string
  readonly port: number
  readonly server: Server
  readonly requests: SeenRequest[]
  /** Replaces what answers from the next request on. */
  handler: RequestListener
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
}

const running = new Set<RunningUpstream>()

/** An HTTP server in the test's own process, on a free port of 127.0.0.1 unless `port` and `host` say which. */
export async function startUpstream(
  handler: RequestListener = (_request, response) => response.end('ok'),
  { port = 0, host = '127.0.0.1', ...options }: ServerOptions & { port?: number; host?: string } = {},
): Promise<RunningUpstream> {
  const server = createServer(options, (request, response) => {
    upstream.requests.push(seen(request))
    upstream.handler(request, response)
  })
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  const upstream: RunningUpstream = {
    url: `http://${host}:${address.port}`,
    port: address.port,
    server,
    requests: [],
    handler,
    stop: async () => {
      running.delete(upstream)
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  running.add(upstream)
  return upstream
}

/** For the mocha root hook. */
export async function stopUpstreams(): Promise<void> {
  await Promise.all([...running].map(async upstream => upstream.stop()))
}

/** Reads a request's body to its end. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function seen({ method = '', url = '', headers, rawHeaders, httpVersion }: IncomingMessage): SeenRequest {
  return { method, url, headers, rawHeaders, httpVersion }
}
