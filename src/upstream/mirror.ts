import type { IncomingMessage } from 'node:http'
import type { Dispatcher } from 'undici'
import { trace, type Attributes, type Counter, type Histogram } from '@opentelemetry/api'
import { GatewayError } from '../errors/gateway-error'
import { hasBody, type Exchange } from '../exchange/exchange'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { statusLabel } from '../telemetry/status-code'
import { replacedTraceFields } from '../telemetry/trace-fields'
import type { CallOptions } from './call-options'
import type { TlsName } from './connector'
import { buildRequestHeaders } from './request-headers'
import type { Target, TargetPool } from './target'
import type { Upstream } from './upstream'
import type { CallConnection, ConnectedCall } from './upstream-client'
import { toGatewayError } from './upstream-errors'

export interface MirrorConfig {
  /** Name of the upstream that gets the copies. */
  readonly upstream: string
  /** Percentage of the requests. */
  readonly share: number
  /** Maximum mirrored requests at once, including those whose body is being received. */
  readonly maxRequests: number
  readonly maxBodyBytes: number
}

type DropReason = (typeof semconv.MIRROR_DROP_REASONS)[number]

/** The field that tells the upstream that no client waits for its response. */
const MARK = ['x-mirrored', 'true'] as const

/**
 * Sends copies of a route's requests to another upstream, and discards the responses. Nothing of it touches the client: copies
 * have connections of their own, wait for nobody, and are dropped above the bounds. They have no span, no trace context and
 * metrics of their own, so that they are not taken for requests of clients.
 */
export class Mirror {
  readonly #upstream: Upstream
  readonly #config: MirrorConfig
  readonly #attributes: Attributes
  /** Fields of the client's trace, also where the gateway has no telemetry. */
  readonly #traceFields: ReadonlySet<string> = new Set([...replacedTraceFields(), 'traceparent', 'tracestate'])
  readonly #pools = new Map<Target, TargetPool>()
  readonly #dropped: Counter
  readonly #duration: Histogram
  #active = 0
  #next = 0

  constructor(template: string, upstream: Upstream, config: MirrorConfig) {
    this.#upstream = upstream
    this.#config = config
    this.#attributes = { [semconv.ATTR_HTTP_ROUTE]: template, [semconv.ATTR_UPSTREAM_NAME]: upstream.name }
    this.#dropped = gatewayMeter().createCounter(semconv.METRIC_MIRROR_DROPPED, {
      description: 'Requests that were to be mirrored and were not',
      unit: '{request}',
    })
    this.#duration = gatewayMeter().createHistogram(semconv.METRIC_MIRROR_DURATION, {
      unit: 's',
      advice: { explicitBucketBoundaries: semconv.DURATION_BUCKETS_S },
      description: 'Duration of mirrored requests',
    })
    for (const reason of semconv.MIRROR_DROP_REASONS) this.#dropped.add(0, this.#dropAttributes(reason))
  }

  /** Mirrors the request if it is in the share. Must be called before the body is read, in the same turn. */
  begin(exchange: Exchange, options: CallOptions): void {
    if (exchange.upgrade !== undefined || Math.random() * 100 >= this.#config.share) return
    const { request } = exchange
    if (this.#active >= this.#config.maxRequests) return this.#drop('busy')
    if (Number(request.headers['content-length'] ?? 0) > this.#config.maxBodyBytes) return this.#drop('body_too_large')
    const target = this.#chooseTarget()
    if (target === undefined) return this.#drop('no_target')
    this.#active++
    trace.getSpan(exchange.context)?.setAttribute(semconv.ATTR_MIRROR_UPSTREAM, this.#upstream.name)
    const dispatched = this.#requestOf(exchange, target, options)
    if (!hasBody(request)) return this.#send(target, dispatched)
    collectBody(request, this.#config.maxBodyBytes, body => {
      if (typeof body === 'string') {
        this.#active--
        this.#drop(body)
      } else this.#send(target, { ...dispatched, body })
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async pool => pool.destroy(new GatewayError('draining'))))
  }

  /** Chooses the available targets in turn. */
  #chooseTarget(): Target | undefined {
    const { targets } = this.#upstream
    for (let i = 0; i < targets.length; i++) {
      const target = targets[this.#next++ % targets.length] as Target
      if (target.isAvailable) return target
    }
    return undefined
  }

  #requestOf(exchange: Exchange, target: Target, options: CallOptions): Dispatcher.DispatchOptions & TlsName {
    const headers = buildRequestHeaders(exchange, options.fieldRules, this.#traceFields, options.forwardedPrefix)
    const sentHost = target.hostSent(this.#upstream.host, exchange.request.headers.host)
    if (sentHost !== undefined) headers.push('host', sentHost)
    headers.push(...MARK)
    return {
      path: exchange.forwardedPath + exchange.query,
      method: exchange.request.method as Dispatcher.HttpMethod,
      headers,
      body: null,
      ...(target.tlsName !== undefined && { servername: target.tlsName }),
    }
  }

  #send(target: Target, request: Dispatcher.DispatchOptions): void {
    const startedAt = performance.now()
    const { connectMs, responseMs } = this.#upstream.timeouts
    const onEnd = (result: Attributes): void => {
      this.#active--
      this.#duration.record((performance.now() - startedAt) / 1_000, { ...this.#attributes, ...result })
    }
    const call = new MirroredCall(connectMs + responseMs, onEnd)
    try {
      this.#poolOf(target).dispatch(request, call)
    } catch (error) {
      call.fail(error)
    }
  }

  /** Returns the connections for copies to a target: as many as copies at once, so that none waits for another. */
  #poolOf(target: Target): TargetPool {
    let pool = this.#pools.get(target)
    if (!pool) this.#pools.set(target, (pool = target.createPool(this.#config.maxRequests)))
    return pool
  }

  #drop(reason: DropReason): void {
    this.#dropped.add(1, this.#dropAttributes(reason))
  }

  #dropAttributes(reason: DropReason): Attributes {
    return { ...this.#attributes, [semconv.ATTR_MIRROR_DROP_REASON]: reason }
  }
}

/** One copy on its way, as an undici dispatch handler. The response is read and discarded, within the time limit. */
class MirroredCall implements Dispatcher.DispatchHandler, ConnectedCall {
  connection: CallConnection | undefined
  readonly #onEnd: (result: Attributes) => void
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #status: number | undefined
  #isOver = false

  constructor(timeoutMs: number, onEnd: (result: Attributes) => void) {
    this.#onEnd = onEnd
    this.#timer = setTimeout(() => {
      this.#end({ [semconv.ATTR_ERROR_TYPE]: 'response_timeout' })
      this.#controller?.abort(TIMED_OUT)
    }, timeoutMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // The connection came too late; throwing keeps it.
    if (this.#isOver) throw TIMED_OUT
    this.#controller = controller
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number): void {
    this.#status = statusCode
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.#end({ [semconv.ATTR_HTTP_RESPONSE_STATUS_CODE]: statusLabel(this.#status ?? 0) })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
  }

  fail(error: unknown): void {
    this.#end({ [semconv.ATTR_ERROR_TYPE]: toGatewayError(error).reason })
  }

  #end(result: Attributes): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#onEnd(result)
  }
}

const TIMED_OUT = new Error('the mirrored request took too long')

/** The first buffer for a body of unknown length. */
const FIRST_BYTES = 4_096

/**
 * Copies a body while it is forwarded. One buffer that grows, because many small chunks would each keep a large buffer of the
 * socket alive.
 *
 * @param onDone called once: with the body, or with the reason why there is none
 */
function collectBody(request: IncomingMessage, maxBytes: number, onDone: (body: Buffer | DropReason) => void): void {
  let buffer = Buffer.allocUnsafeSlow(Math.min(maxBytes, Number(request.headers['content-length'] ?? FIRST_BYTES)))
  let length = 0
  const onData = (chunk: Buffer): void => {
    const needed = length + chunk.length
    if (needed > maxBytes) return done('body_too_large')
    if (needed > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(needed, 2 * buffer.length)))
      buffer.copy(larger, 0, 0, length)
      buffer = larger
    }
    chunk.copy(buffer, length)
    length = needed
  }
  const onEnd = (): void => done(buffer.subarray(0, length))
  const onClose = (): void => done('incomplete')
  const done = (result: Buffer | DropReason): void => {
    request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
    onDone(result)
  }
  request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
}
