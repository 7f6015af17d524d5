import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from '@opentelemetry/api'
import { Exchange, type ExchangeObserver } from '../exchange/exchange'
import { isGrpc, toGrpcCall } from '../exchange/grpc-call'
import { requestIdOf } from '../exchange/request-id'
import type { RequestIdConfig } from '../exchange/request-id-config'
import type { ErrorAnswers } from '../errors/error-answer'
import { GatewayError } from '../errors/gateway-error'
import type { ClientOrigin } from './client-address'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import { expectsContinue } from './expect-continue'
import { takeNoMore } from './lingering-close'
import { refuseFaulty, type RequestLimits } from './request-faults'
import { describeRefusedTarget, parseRequestTarget, type RequestTarget } from '../exchange/request-target'
import { upgradeOf } from './upgrades'

/** Configuration that applies to every incoming request. */
export interface ReceptionRules {
  readonly limits: RequestLimits
  readonly clientOrigin: (request: IncomingMessage) => ClientOrigin
  readonly requestId: RequestIdConfig | undefined
  readonly errorAnswers: ErrorAnswers | undefined
  readonly accessLog?: AccessLogSettings | undefined
  /** Whether any route accepts `%2F` in paths. */
  readonly takesEncodedSlashes: boolean
}

export interface ReceiveOptions {
  /** True while the process is draining. */
  readonly isDraining: () => boolean
  /** Undefined for `explain`, which does not serve requests. */
  readonly observer: ExchangeObserver | undefined
  /** Called once per exchange, when its response is finished or its connection is lost. */
  readonly onClose: (exchange: Exchange) => void
}

/** A received exchange, with the refusal if the request is not acceptable. */
export interface Received {
  readonly exchange: Exchange
  readonly refusal: GatewayError | undefined
}

/**
 * Creates the exchange of a request that Node has parsed, and observes its end.
 *
 * @param context trace context of the request
 */
export function receive(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
  rules: ReceptionRules,
  options: ReceiveOptions,
): Received {
  const { target, refusal } = readTarget(request, rules)
  const { address, peerIsTrusted, proxyForwarding } = rules.clientOrigin(request)
  const exchange = new Exchange(request, response, {
    clientAddress: address,
    peerIsTrusted,
    proxyForwarding,
    path: target.path,
    rawPath: target.rawPath,
    hasEncodedSlash: target.hasEncodedSlash,
    query: target.query,
    host: target.host,
    context,
  })
  exchange.requestIdConfig = rules.requestId
  exchange.errorAnswers = rules.errorAnswers
  exchange.accessLog = rules.accessLog
  exchange.requestId = requestIdOf(request, peerIsTrusted, context, rules.requestId)
  exchange.isDraining = options.isDraining
  exchange.observer = options.observer
  exchange.expectsContinue = expectsContinue(request)
  exchange.upgrade = upgradeOf(request)
  if (isGrpc(request)) exchange.grpc = toGrpcCall(request)
  if (refusal !== undefined) {
    exchange.isMalformed = true
    takeNoMore(request)
  }
  // Registered before anything waits: otherwise the close of a client that leaves quickly would be missed.
  response.on('close', () => {
    exchange.call?.onClientClose() // first: the call's span must end before the request's
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
