import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './send-json'

/** Read access to the samples of recent requests. */
export interface SampleReader {
  read(query: {
    readonly route?: string | undefined
    readonly fromMs: number
    readonly toMs: number
    readonly limit?: number | undefined
  }): readonly SampledGroup[]
}

/** Requests of one route that ended alike at about the same time. */
interface SampledGroup {
  readonly startMs: number
  readonly route: string
  readonly kind: string
  /** Number of requests that the samples represent. */
  readonly seen: number
  readonly samples: readonly object[]
}

const PARAMETERS: readonly string[] = ['route', 'from', 'to', 'limit', 'format']

/**
 * `GET /samples`: samples of recent requests, good and failed, in slots of 30 seconds. `?route=/api/orders` for
 * those of one path template, `from` and `to` in milliseconds since the epoch, `limit` for fewer samples.
 */
export function listSamples(samples: SampleReader, request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '/', 'http://ops').searchParams
  const unknown = [...query.keys()].find(name => !PARAMETERS.includes(name))
  if (unknown !== undefined) {
    return sendJson(response, 400, { error: `unknown parameter "${unknown}"`, allowed: PARAMETERS })
  }
  const fromMs = Number(query.get('from') || 0)
  const toMs = Number(query.get('to') || Number.MAX_SAFE_INTEGER)
  if (!Number.isFinite(fromMs) || !Number.isFinite(toMs)) {
    return sendJson(response, 400, { error: 'from and to are milliseconds since the epoch' })
  }
  const limit = query.get('limit') ? Number(query.get('limit')) : undefined
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    return sendJson(response, 400, { error: 'limit is a whole number of samples, from 1' })
  }
  sendJson(response, 200, { groups: samples.read({ route: query.get('route') ?? undefined, fromMs, toMs, limit }) })
}
