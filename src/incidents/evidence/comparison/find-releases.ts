import { withoutSecrets } from '../logs'
import { readSpansWithVersions } from '../otlp-trace'
import { SharedAnswers } from '../shared-answers'
import type { TraceBackend } from '../trace-sources'
import type { TracedRequest } from './sampled-requests'
import type { SeenRelease } from './target-releases'

/** Maximum traces fetched for one alert. */
const MAX_FETCHED = 24
/** Maximum traces of one target on one side. */
const MAX_OF_TARGET = 4
/** Maximum time: the rest of the evidence is never kept waiting by a slow backend for longer. */
const TIMEOUT_MS = 2_000
/** Maximum characters of a version and of a service's name; longer ones are shortened, and far longer ones ignored. */
const MAX_CHARACTERS = 64
const MAX_READ_CHARACTERS = 256

/**
 * Finds the releases of targets: `service.version` of the SERVER spans that upstreams sent to a trace backend. Never
 * rejects: without a backend, or with one that fails, nothing is found.
 */
export async function findReleases(
  requests: readonly TracedRequest[],
  backends: readonly TraceBackend[],
  { onsetMs, signal }: { readonly onsetMs: number; readonly signal: AbortSignal },
): Promise<SeenRelease[]> {
  if (backends.length === 0) return []
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const found = await Promise.all(
    chooseRequests(requests, onsetMs).map(async (request): Promise<SeenRelease[]> => {
      const { target, upstream, timeMs } = request
      const calls = (await callsIn(request.traceId, backends, limited)).filter(call => call.target === target)
      // A trace may contain several requests.
      const [call] = calls.sort((a, b) => Math.abs(a.endMs - timeMs) - Math.abs(b.endMs - timeMs))
      return call === undefined ? [] : [{ target, upstream, timeMs, service: call.service, version: call.version }]
    }),
  )
  return found.flat()
}

/** Chooses in turns, so that every target gets a trace before one gets a second. */
function chooseRequests(requests: readonly TracedRequest[], onsetMs: number): TracedRequest[] {
  const groups = [...Map.groupBy(requests, ({ side, target }) => `${side} ${target}`).values()]
    .sort((a, b) => place(a) - place(b) || b.length - a.length)
    .map(group => spread(group.toSorted((a, b) => Math.abs(a.timeMs - onsetMs) - Math.abs(b.timeMs - onsetMs))))
  const inTurns = Array.from({ length: MAX_OF_TARGET }, (_, turn) => groups.flatMap(group => group[turn] ?? []))
  const chosen = new Map(inTurns.flat().map(request => [`${request.traceId} ${request.target}`, request]))
  return [...chosen.values()].slice(0, MAX_FETCHED)
}

const SIDES: readonly TracedRequest['side'][] = ['failing', 'good', 'before']

function place([first]: readonly TracedRequest[]): number {
  return first === undefined ? SIDES.length : SIDES.indexOf(first.side)
}

/** The first and the last item, then some between them. */
function spread<Item>(items: readonly Item[]): Item[] {
  const last = items.length - 1
  const between = Array.from({ length: MAX_OF_TARGET - 2 }, (_, n) =>
    Math.round((last * (n + 1)) / (MAX_OF_TARGET - 1)),
  )
  return [...new Set([0, last, ...between])].flatMap(index => items[index] ?? [])
}

/** A call of a gateway to a target, with the release that answered it. */
interface Call {
  readonly target: string
  readonly endMs: number
  readonly service: string
  readonly version: string
}

/**
 * Shared between alerts. With turns of its own: a slow trace backend must not take those of queries to the gateways.
 */
const answers = new SharedAnswers()
const BYTES_OF_CALL = 300

async function callsIn(traceId: string, backends: readonly TraceBackend[], signal: AbortSignal): Promise<Call[]> {
  for (const backend of backends) {
    const ask = async (): Promise<{ answer: Call[]; bytes: number }> => {
      const trace = await backend.ask(traceId, signal)
      const answer = trace === undefined ? [] : readCalls(trace)
      return { answer, bytes: answer.length * BYTES_OF_CALL }
    }
    const calls = await answers.get(`${backend.name} ${traceId}`, signal, ask).catch(() => [])
    if (calls.length > 0) return calls
  }
  return []
}

/** SERVER spans with a version that are children of a gateway's CLIENT spans. */
function readCalls(trace: unknown): Call[] {
  const spans = readSpansWithVersions(trace)
  const byId = new Map(spans.map(({ span }) => [span.spanId, span]))
  return spans.flatMap(({ span, version }) => {
    if (span.kind !== 'server' || version === undefined) return []
    const call = byId.get(span.parentSpanId ?? '')
    const gateway = byId.get(call?.parentSpanId ?? '')
    if (call?.kind !== 'client' || gateway?.attributes['gateway.outcome'] === undefined) return []
    const [, target] = /^https?:\/\/([^/?#]+)/.exec(call.attributes['url.full'] ?? '') ?? []
    const shownVersion = shown(version)
    if (target === undefined || shownVersion === '') return []
    return [{ target, endMs: call.startMs + call.durationMs, service: shown(span.service), version: shownVersion }]
  })
}

/** Comes from another process: without control characters and anything that looks like a secret, and bounded. */
function shown(text: string): string {
  if (text.length > MAX_READ_CHARACTERS) return ''
  return withoutSecrets(text).replaceAll(/\p{C}/gu, ' ').trim().slice(0, MAX_CHARACTERS)
}
