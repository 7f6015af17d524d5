import type { Transform } from 'node:stream'
import { trace } from '@opentelemetry/api'
import { toError } from '../../errors/error-code'
import { GatewayError } from '../../errors/gateway-error'
import { ANSWERED, type Exchange, type Stage } from '../../exchange/exchange'
import type { Logger } from '../../telemetry/logger'
import { gatewayMeter } from '../../telemetry/scope'
import { ATTR_POLICY, ATTR_POLICY_FAILURE, METRIC_POLICY_FAILURES } from '../../telemetry/semconv'
import type { Hooks } from '../define-policy'
import { ExchangeContext, withContext, type Reply } from '../policy-context'
import type { PolicyDefinition } from './define-policy'
import { hookWatch, WATCHED_PHASES } from './hook-watch'
import { BoundedSignals } from './policy-signals'

const DEFAULT_TIMEOUT_MS = 1_000
/** Smallest interval between log lines of a policy: one that fails at every request must not fill the log. */
const LOG_EVERY_MS = 1_000

export const FAILURE_KINDS = ['threw', 'timed_out', 'blocked_event_loop'] as const
type FailureKind = (typeof FAILURE_KINDS)[number]

/**
 * Wraps the hooks of a custom policy: an exception, or a promise that does not settle in time, ends the policy for this
 * exchange, not the gateway. An endless loop cannot be stopped; `hook-watch.ts` names it.
 */
export function guardedHooks(policy: PolicyDefinition, config: unknown, parts: GuardParts): Hooks {
  return guardHooks(policy, parts, contextOf => withContext(policy.create(config), contextOf))
}

interface GuardParts {
  readonly log: Logger
  /** Name of the route; undefined under `entrypoint`. */
  readonly route: string | undefined
}

/** @param create returns the hooks to guard; they may use the context of an exchange */
export function guardHooks(
  {
    name,
    onFailure = 'closed',
    timeoutMs = DEFAULT_TIMEOUT_MS,
  }: Pick<PolicyDefinition, 'name' | 'onFailure' | 'timeoutMs'>,
  { log, route }: GuardParts,
  create: (contextOf: (exchange: Exchange) => ExchangeContext) => Hooks,
): Hooks {
  const signals = new BoundedSignals(name, log)
  const contexts = new WeakMap<Exchange, GuardedContext>()
  const contextOf = (exchange: Exchange): GuardedContext => {
    let context = contexts.get(exchange)
    if (context === undefined) contexts.set(exchange, (context = new GuardedContext(exchange, signals)))
    return context
  }
  const { onArrival, onRequest, onAttempt, onResponse, onBody, onEnd } = create(contextOf)
  const failures = gatewayMeter().createCounter(METRIC_POLICY_FAILURES, {
    unit: '{failure}',
    description: 'Policies of gateway.yaml that threw or took too long',
  })
  for (const kind of FAILURE_KINDS) failures.add(0, { [ATTR_POLICY]: name, [ATTR_POLICY_FAILURE]: kind })
  let loggedAt = -Infinity
  const watched = hookWatch.register(name, route, (phase, blockedMs) => {
    failures.add(1, { [ATTR_POLICY]: name, [ATTR_POLICY_FAILURE]: 'blocked_event_loop' })
    log.error(
      { event: 'policy', policy: name, route, phase, failure: 'blocked_event_loop', blocked_ms: blockedMs },
      `policy ${name} has blocked the event loop for ${blockedMs}ms in ${phase}`,
    )
  })

  /** Counts, logs and marks a failure. @returns the error that ends the exchange */
  const failed = (exchange: Exchange, phase: keyof Hooks, kind: FailureKind, error: unknown): GatewayError => {
    contextOf(exchange).hasFailed = true
    failures.add(1, { [ATTR_POLICY]: name, [ATTR_POLICY_FAILURE]: kind }, exchange.context)
    trace.getSpan(exchange.context)?.setAttributes({ [ATTR_POLICY]: name, [ATTR_POLICY_FAILURE]: kind })
    const what = kind === 'threw' ? 'threw' : `took longer than ${timeoutMs}ms`
    const cause = new Error(
      `policy ${name} ${what} in ${phase}${kind === 'threw' ? `: ${toError(error).message}` : ''}`,
    )
    const now = performance.now()
    if (now - loggedAt >= LOG_EVERY_MS) {
      loggedAt = now
      log.error({ event: 'policy', policy: name, failure: kind, fails: onFailure, err: error }, cause.message)
    }
    return new GatewayError('policy_failed', { cause })
  }

  const guardStage = (phase: 'onArrival' | 'onRequest', hook: Stage | undefined): Stage | undefined => {
    if (hook === undefined) return undefined
    const end = (exchange: Exchange, kind: FailureKind, error: unknown): ReturnType<Stage> => {
      if (error instanceof GatewayError) throw error
      const failure = failed(exchange, phase, kind, error)
      if (onFailure === 'closed') throw failure
      // The policy may have answered before it threw.
      return exchange.response.headersSent ? ANSWERED : undefined
    }
    const phaseNumber = WATCHED_PHASES.indexOf(phase)
    return function runPolicy(exchange) {
      const before = hookWatch.enter(watched, phaseNumber)
      try {
        const result = hook(exchange)
        if (!isPromise(result)) return result
        hookWatch.pending(watched, result)
        return settledWithin(result, timeoutMs).then(
          settled => (settled === TIMED_OUT ? end(exchange, 'timed_out', undefined) : settled),
          (error: unknown) => end(exchange, 'threw', error),
        )
      } catch (error) {
        return end(exchange, 'threw', error)
      } finally {
        hookWatch.leave(before)
      }
    }
  }

  /** Runs a hook. @returns undefined if it failed and the exchange continues without it */
  const guarded = <Result>(
    exchange: Exchange,
    phase: keyof Hooks,
    mayThrow: () => boolean,
    run: () => Result,
  ): Result | undefined => {
    if (contextOf(exchange).hasFailed) return undefined
    const before = hookWatch.enter(watched, WATCHED_PHASES.indexOf(phase))
    try {
      const result = run()
      if (!isPromise(result)) return result
      hookWatch.pending(watched, result)
      // This promise is not awaited. An unhandled rejection would end the process.
      result.catch((error: unknown) => void failed(exchange, phase, 'threw', error))
      if (phase === 'onEnd') return undefined
      throw new Error('it must not return a promise here')
    } catch (error) {
      if (error instanceof GatewayError && mayThrow()) throw error
      const failure = failed(exchange, phase, 'threw', error)
      if (onFailure === 'closed' && mayThrow()) throw failure
      return undefined
    } finally {
      hookWatch.leave(before)
    }
  }

  return {
    onArrival: guardStage('onArrival', onArrival),
    onRequest: guardStage('onRequest', onRequest),
    onAttempt:
      onAttempt && ((exchange, attempt) => guarded(exchange, 'onAttempt', always, () => onAttempt(exchange, attempt))),
    onResponse:
      onResponse &&
      ((exchange, head) =>
        guarded(
          exchange,
          'onResponse',
          () => isOfUpstream(exchange),
          () => onResponse(exchange, head),
        )),
    onBody:
      onBody &&
      ((exchange, head) => {
        const transform = guarded(
          exchange,
          'onBody',
          () => isOfUpstream(exchange),
          () => onBody(exchange, head),
        )
        if (transform !== undefined) watchTransform(transform, watched)
        // The body is partly sent and the rest is unreliable, so the response is aborted even with `onFailure: open`.
        transform?.once('error', error => {
          exchange.conclude('fault', 'policy_failed', failed(exchange, 'onBody', 'threw', error).cause)
        })
        return transform
      }),
    onEnd: onEnd && (exchange => guarded(exchange, 'onEnd', never, () => onEnd(exchange))),
  }
}

/** Notes the calls of a transform, which the stream makes outside of the hook that returned it. */
function watchTransform(transform: Transform, watched: number): void {
  const phase = WATCHED_PHASES.indexOf('transform')
  for (const method of ['_transform', '_flush'] as const) {
    const original = transform[method] as ((...args: unknown[]) => void) | undefined
    if (original === undefined) continue
    transform[method] = function watchedTransform(...args: unknown[]): void {
      const before = hookWatch.enter(watched, phase)
      try {
        original.apply(transform, args)
      } finally {
        hookWatch.leave(before)
      }
    }
  }
}

/**
 * Returns whether a response comes from the upstream, so that an error response may still replace it. A local reply may
 * already be the response to an error.
 */
function isOfUpstream({ target, outcome, reason, response }: Exchange): boolean {
  return target !== undefined && !response.headersSent && (outcome === 'ok' || reason === 'upstream_5xx')
}

function always(): boolean {
  return true
}

function never(): boolean {
  return false
}

function isPromise(result: unknown): result is Promise<never> {
  return result instanceof Promise
}

const TIMED_OUT = Symbol('timed out')

function settledWithin<T>(promise: Promise<T>, timeoutMs: number): Promise<T | typeof TIMED_OUT> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs, TIMED_OUT)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** The context of one policy and exchange. */
class GuardedContext extends ExchangeContext {
  /** Set after a failure: no further hooks of the policy run for this exchange. */
  hasFailed = false

  override respond(reply: Reply): ReturnType<ExchangeContext['respond']> {
    if (this.hasFailed) throw new Error('too late: the policy has failed')
    return super.respond(reply)
  }
}
