import type { IncomingMessage, ServerResponse } from 'node:http'
import { duplexPair } from 'node:stream'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import type { EntrypointConfig } from '../config/types'
import { createClientOrigin } from '../entrypoint/client-address'
import { receive, type Received } from '../entrypoint/receive'
import { createEntrypointServer } from '../entrypoint/server'
import type { Reason } from '../errors/reasons'

/** A request as typed on the command line. */
export interface TypedRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Host and port, as in the `Host` field. */
  readonly authority: string
  /** Path and query, unchanged. */
  readonly target: string
  /** Complete lines: `name: value`. */
  readonly headers: readonly string[]
  /** The address of the connecting client. */
  readonly peer: string
}

export type Arrival = (Received & { readonly request: IncomingMessage }) | { readonly neverARequest: Reason }

/**
 * Sends the request to the gateway's own listener over an unconnected stream, so that it is accepted or refused exactly
 * as the gateway would.
 */
export function arrivalOf(
  typed: TypedRequest,
  entrypoint: EntrypointConfig,
  takesEncodedSlashes = false,
): Promise<Arrival> {
  return new Promise(resolve => {
    const server = createEntrypointServer({
      config: entrypoint,
      handle: (request, response) =>
        resolve({ request, ...received(request, response, entrypoint, takesEncodedSlashes) }),
      onRefused: reason => resolve({ neverARequest: reason }),
      onBroken: () => {},
    })
    const [client, connection] = duplexPair()
    // Socket properties that the listener reads and a stream lacks.
    Object.assign(connection, {
      remoteAddress: typed.peer,
      ...(typed.scheme === 'https' && { encrypted: true }), // only its presence is checked
      destroySoon: () => connection.destroy(),
    })
    server.emit('connection', connection)
    client.write(bytesOf(typed), 'latin1')
  })
}

function received(
  request: IncomingMessage,
  response: ServerResponse,
  entrypoint: EntrypointConfig,
  takesEncodedSlashes: boolean,
): Received {
  const rules = {
    limits: entrypoint,
    clientOrigin: createClientOrigin(entrypoint.trustedProxies),
    takesEncodedSlashes,
    requestId: undefined,
    errorAnswers: undefined,
  }
  return receive(request, response, ROOT_CONTEXT, rules, {
    isDraining: () => false,
    observer: undefined,
    onClose: () => {},
  })
}

/** A Host among the headers replaces that of the URL. */
function bytesOf({ method, target, authority, headers }: TypedRequest): string {
  const host = headers.some(line => /^host:/i.test(line)) ? [] : [`Host: ${authority}`]
  return [`${method} ${target} HTTP/1.1`, ...host, ...headers, '', ''].join('\r\n')
}
