import type { Reason } from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import type { CallOptions, Resend } from './call-options'
import { NO_CONNECTION } from './failure-set'
import type { RequestBody } from './request-body'
import { isIdempotent } from './retry-policy'
import type { Target } from './target'

/** A call that failed: what decides whether its request is sent again. Created only for failures. */
export interface FailedCall {
  readonly exchange: Exchange
  readonly target: Target
  readonly options: CallOptions
  readonly body: RequestBody | null
  readonly resend: Resend | undefined
  readonly reason: Reason
  /** The status of the response, if its header section has arrived. */
  readonly statusCode: number | undefined
  /** The call got a connection, so parts of the request may have been sent. */
  readonly hasBegun: boolean
  /** The first response byte has arrived. */
  readonly isAnswered: boolean
}

/** The call that replaces a failed one. `begin()` was called on its target. */
export interface NextCall {
  readonly target: Target
  readonly body: RequestBody | null
  readonly delayMs: number
  readonly resend: Resend
}

/** Returns the call to make after `failed`; undefined if a retry is not safe or not within the limits. */
export function nextCall(failed: FailedCall): NextCall | undefined {
  const { exchange, options, reason, hasBegun, resend } = failed
  const { upstream, retry } = options
  const { retries } = upstream
  if (retry === 'never' || exchange.response.headersSent) return undefined
  const tried = triedBy(failed)
  // Nothing was sent, so another target is asked without using the retry budget. The number of targets bounds this.
  const isUnsent = !hasBegun && NO_CONNECTION.has(reason)
  const other = isUnsent ? upstream.pickUntried(tried, exchange) : undefined
  if (other !== undefined) {
    retries.countFree(reason)
    return callAfter(failed, other, {})
  }
  const count = (resend?.retries ?? 0) + 1
  const isCovered = count < retries.attempts && retries.covers(reason, failed.statusCode)
  if (!isCovered) return repeatElsewhere(failed, tried)
  // A call that never began has sent nothing, so its body is still complete.
  if (hasBegun && !isRepeatable(failed)) return undefined
  if (hasBegun && failed.body?.isKept === false) return undefined
  const target = upstream.pickOther(tried, exchange)
  if (target === undefined || !spend(failed, target)) return undefined
  const body = hasBegun ? bodyAgain(failed) : failed.body
  if (body === undefined) return undefined
  return { ...callAfter(failed, target, { retries: count }), body, delayMs: retries.delayMs(count) }
}

/**
 * Returns the call that repeats a request on a new connection (RFC 9112 §9.3.1) after the upstream closed an idle
 * connection just as the request was sent on it; the upstream has most likely not seen the request. Undefined if the
 * request may not be repeated.
 */
export function repeatOnFreshConnection(failed: FailedCall): NextCall | undefined {
  const { options, target } = failed
  const body = repeatableBody(failed)
  if (body === undefined) return undefined
  options.upstream.retries.countFree('reset')
  target.begin()
  return { ...callAfter(failed, target, { wasRepeated: true, needsFreshConnection: true }), body }
}

/** How often a request is sent again that its target has not processed. */
const MAX_REFUSALS = 3

/**
 * Returns the call after a target declared that it has not processed the request (RFC 9113 §8.7): on another target, or on
 * another connection to this one. It is safe whatever the method, and needs no `retries`.
 */
export function callAfterRefusal(failed: FailedCall): NextCall | undefined {
  const { exchange, options, resend } = failed
  const { upstream, retry } = options
  const refusals = (resend?.refusals ?? 0) + 1
  if (retry === 'never' || refusals > MAX_REFUSALS || exchange.response.headersSent) return undefined
  const body = bodyAgain(failed)
  if (body === undefined) return undefined
  const target = upstream.pickUntried(triedBy(failed), exchange) ?? upstream.pickOther([], exchange)
  if (target === undefined) return undefined
  upstream.retries.countFree('reset')
  // A target that drains refuses until its GOAWAY has arrived.
  const delayMs = refusals === 1 ? 0 : upstream.retries.delayMs(refusals)
  return { ...callAfter(failed, target, { refusals }), body, delayMs }
}

/** Returns the body for another call; undefined if a part of it is gone. */
function bodyAgain({ body }: FailedCall): RequestBody | null | undefined {
  return body === null ? null : body.restarted()
}

/** Repeats a request on another target after its connection broke before a response, even without `retries`. */
function repeatElsewhere(failed: FailedCall, tried: readonly Target[]): NextCall | undefined {
  const { exchange, options, reason } = failed
  if (reason !== 'reset' || failed.isAnswered || failed.body !== null) return undefined
  if (repeatableBody(failed) === undefined) return undefined
  const target = options.upstream.pickUntried(tried, exchange)
  if (target === undefined || !spend(failed, target)) return undefined
  return callAfter(failed, target, { wasRepeated: true })
}

/** Takes a retry from the budget of the upstream, or gives the picked target back. */
function spend({ options, reason }: FailedCall, target: Target): boolean {
  if (options.upstream.retries.spend(reason)) return true
  target.end()
  return false
}

/**
 * Returns the body with which the request may be repeated; undefined if it may not. A request is repeated once, and
 * only if none of its body was sent or, without a body, if it is safe to send it twice.
 */
function repeatableBody(failed: FailedCall): RequestBody | null | undefined {
  if (failed.options.retry === 'never' || failed.resend?.wasRepeated) return undefined
  // What is kept may have been sent.
  if (failed.body?.isKept === true && !isRepeatable(failed)) return undefined
  if (failed.body !== null) return failed.body.restarted()
  return isRepeatable(failed) ? null : undefined
}

function isRepeatable({ options, exchange }: FailedCall): boolean {
  return options.retry === 'always' || isIdempotent(exchange.request.method)
}

function triedBy({ resend, target }: FailedCall): readonly Target[] {
  return [...(resend?.tried ?? []), target]
}

function callAfter(failed: FailedCall, target: Target, changed: Partial<Resend>): NextCall {
  const { count = 0, retries = 0, wasRepeated = false, refusals = 0 } = failed.resend ?? {}
  const resend: Resend = {
    count: count + 1,
    reason: failed.reason,
    tried: triedBy(failed),
    retries,
    wasRepeated,
    needsFreshConnection: false,
    refusals,
    ...changed,
  }
  return { target, body: failed.body, delayMs: 0, resend }
}
