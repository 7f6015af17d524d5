import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from '@opentelemetry/api'
import { Exchange, type ExchangeObserver } from '../exchange/exchange'
import { requestIdOf } from '../exchange/request-id'
import type { RequestIdConfig } from '../exchange/request-id-config'
import { GatewayError } from '../errors/gateway-error'
import type { ClientOrigin } from './client-address'
import { expectsContinue } from './expect-continue'
import { takeNoMore } from './lingering-close'
import { refuseFaulty, type RequestLimits } from './request-faults'
import { describeRefusedTarget, parseRequestTarget, type RequestTarget } from './request-target'
import { upgradeOf } from './upgrades'

/** What the file says of every request that comes in. */
export interface ReceptionRules {
  readonly limits: RequestLimits
  readonly clientOrigin: (request: IncomingMessage) => ClientOrigin
  readonly requestId: RequestIdConfig | undefined
  /** Whether a route takes `%2F` in paths. */
  readonly takesEncodedSlashes: boolean
}

export interface ReceiveOptions {
  /** True while the process stops. */
  readonly isDraining: () => boolean
  /** Undefined where requests are only looked at (`explain`). */
  readonly observer: ExchangeObserver | undefined
  /** Called once per exchange, when its response is finished or lost. */
  readonly onClose: (exchange: Exchange) => void
}

/** What arrived: the exchange, and the refusal where the request itself is not acceptable. */
export interface Received {
  readonly exchange: Exchange
  readonly refusal: GatewayError | undefined
}

/**
 * Turns bytes that Node accepted as a request into an exchange whose end will be seen.
 *
 * @param context the trace it belongs to
 */
export function receive(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
  rules: ReceptionRules,
  options: ReceiveOptions,
): Received {
  const { target, refusal } = readTarget(request, rules)
  const { address, peerIsTrusted, said } = rules.clientOrigin(request)
  const exchange = new Exchange(request, response, {
    clientAddress: address,
    peerIsTrusted,
    said,
    path: target.path,
    rawPath: target.rawPath,
    hasEncodedSlash: target.hasEncodedSlash,
    query: target.query,
    host: target.host,
    context,
  })
  exchange.requestIdConfig = rules.requestId
  exchange.requestId = requestIdOf(request, peerIsTrusted, context, rules.requestId)
  exchange.isDraining = options.isDraining
  exchange.observer = options.observer
  exchange.expectsContinue = expectsContinue(request)
  exchange.upgrade = upgradeOf(request)
  if (refusal !== undefined) {
    exchange.isMalformed = true
    takeNoMore(request.socket)
  }
  // Before anything can wait: a client that is quickly gone is never seen otherwise.
  response.on('close', () => {
    exchange.call?.onClientClose() // first: the call's span must have ended when the request's does
    if (!response.writableFinished && exchange.tunnel === undefined) exchange.conclude('client_closed', 'client_closed')
    options.onClose(exchange)
  })
  return { exchange, refusal }
}

function readTarget(
  request: IncomingMessage,
  { limits, takesEncodedSlashes }: ReceptionRules,
): { target: RequestTarget; refusal: GatewayError | undefined } {
  try {
    refuseFaulty(request, limits)
    return {
      target: parseRequestTarget(request.url ?? '/', request.headers.host, takesEncodedSlashes),
      refusal: undefined,
    }
  } catch (error) {
    if (error instanceof GatewayError) {
      return { target: describeRefusedTarget(request.url ?? '', request.headers.host), refusal: error }
    }
    throw error
  }
}
