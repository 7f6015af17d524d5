import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { EntrypointConfig } from '../config/types'
import { REASONS, type Reason } from '../errors/reasons'

/** Requests whose client waits for `100 Continue`. */
const expectingContinue = new WeakSet<IncomingMessage>()

export function expectsContinue(request: IncomingMessage): boolean {
  return expectingContinue.has(request)
}

export interface EntrypointServerOptions {
  readonly config: EntrypointConfig
  readonly handle: RequestListener
  /** Called for what never became a request: malformed bytes, too large or too slow header sections. */
  readonly onRefused: (reason: Reason) => void
}

/** The HTTP server with its limits; nothing a client sends may hold it for ever. Does not listen yet. */
export function createEntrypointServer({ config, handle, onRefused }: EntrypointServerOptions): Server {
  const server = createServer(
    {
      headersTimeout: config.headersTimeoutMs,
      requestTimeout: config.requestTimeoutMs,
      keepAliveTimeout: config.keepAliveTimeoutMs,
      maxHeaderSize: config.maxHeaderBytes,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
      requireHostHeader: true,
    },
    handle,
  )
  server.maxConnections = config.maxConnections
  // Node would answer 100 by itself, before anybody looked whether the request may pass at all.
  server.on('checkContinue', (request: IncomingMessage, response) => {
    expectingContinue.add(request)
    server.emit('request', request, response)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const reason = reasonFor(error.code)
    if (reason === undefined || !socket.writable) {
      socket.destroy()
      return
    }
    onRefused(reason)
    socket.end(problemMessage(reason))
  })
  return server
}

/** Undefined when it is the connection that failed, not the request. */
function reasonFor(code: string | undefined): Reason | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 'header_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return code?.startsWith('HPE_') ? 'bad_request' : undefined
}

/** A whole HTTP/1.1 response by hand: there is no response object for what was not a request. */
function problemMessage(reason: Reason): string {
  const { status, title, outcome } = REASONS[reason]
  const body = JSON.stringify({ type: `urn:myesi-gateway:problem:${reason}`, title, status, outcome, reason })
  return [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
