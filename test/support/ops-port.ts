import { parseExposition, type ExposedFamily, type Sample, type SampleExemplar } from './exposition'

/** One line of `GET /traces`. */
export interface ListedTrace {
  readonly traceId: string
  readonly time: string
  readonly method?: string
  readonly path?: string
  readonly route?: string
  readonly upstream?: string
  readonly status?: number
  readonly outcome?: string
  readonly reason?: string
  readonly durationMs: number
  readonly cause: string
}

/** A span of `GET /traces/{id}`, its attributes as a plain object. */
export interface OpenedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 2 is SERVER, 3 is CLIENT. */
  readonly kind: number
  readonly status: { readonly code: number; readonly message?: string }
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[]
}

/** The kept traces of a gateway, newest first; `query` such as `outcome=fault&limit=10`. */
export async function listTraces(opsUrl: string, query = ''): Promise<ListedTrace[]> {
  const response = await fetch(`${opsUrl}/traces?limit=1000&${query}`)
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
  const { traces } = (await response.json()) as { traces: ListedTrace[] }
  return traces
}

/** The spans of one kept trace; undefined where the gateway says 404. */
export async function openTrace(opsUrl: string, traceId: string): Promise<OpenedSpan[] | undefined> {
  const response = await fetch(`${opsUrl}/traces/${traceId}`)
  if (response.status === 404) return undefined
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
  const { resourceSpans } = (await response.json()) as OtlpTraces
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(toSpan)))
}

/** The exposition of the ops port as OpenMetrics, read strictly. */
export async function scrape(opsUrl: string): Promise<Map<string, ExposedFamily>> {
  const response = await fetch(`${opsUrl}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  return parseExposition(await response.text(), 'openmetrics')
}

export interface SampleWithExemplar extends Sample {
  readonly exemplar: SampleExemplar
}

/** Every sample with an exemplar. */
export function withExemplars(families: ReadonlyMap<string, ExposedFamily>): SampleWithExemplar[] {
  const samples = [...families.values()].flatMap(family => family.samples)
  return samples.filter((sample): sample is SampleWithExemplar => sample.exemplar !== undefined)
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

interface OtlpSpan extends Omit<OpenedSpan, 'attributes' | 'events'> {
  readonly attributes: readonly OtlpAttribute[]
  readonly events?: readonly { readonly name: string; readonly attributes: readonly OtlpAttribute[] }[]
}

interface OtlpAttribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

function toSpan({ attributes, events = [], ...span }: OtlpSpan): OpenedSpan {
  return {
    ...span,
    attributes: plain(attributes),
    events: events.map(event => ({ name: event.name, attributes: plain(event.attributes) })),
  }
}

function plain(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
