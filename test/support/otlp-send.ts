import { randomBytes } from 'node:crypto'

type AttributeValue = string | number | readonly string[]

/** What matters about a span; the rest is made up. */
export interface SpanToSend {
  readonly traceId: string
  readonly kind?: 'internal' | 'server' | 'client'
  readonly name?: string
  readonly durationMs?: number
  /** Span status ERROR. */
  readonly error?: boolean
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  readonly traceState?: string
}

const KINDS = { internal: 1, server: 2, client: 3 } as const

export function newTraceId(): string {
  return randomBytes(16).toString('hex')
}

/** Sends spans as OTLP/JSON, in one request. @throws when they are not taken */
export async function sendSpans(url: string, spans: readonly SpanToSend[], service = 'orders'): Promise<void> {
  const end = BigInt(Date.now()) * 1_000_000n
  await send(`${url}/v1/traces`, {
    resourceSpans: [
      {
        resource: { attributes: attributes({ 'service.name': service }) },
        scopeSpans: [
          {
            spans: spans.map(span => ({
              traceId: span.traceId,
              spanId: randomBytes(8).toString('hex'),
              ...(span.traceState !== undefined && { traceState: span.traceState }),
              name: span.name ?? 'GET',
              kind: KINDS[span.kind ?? 'server'],
              startTimeUnixNano: `${end - BigInt(span.durationMs ?? 5) * 1_000_000n}`,
              endTimeUnixNano: `${end}`,
              attributes: attributes(span.attributes ?? {}),
              status: span.error === true ? { code: 2 } : {},
            })),
          },
        ],
      },
    ],
  })
}

/** Sends one log record. */
export async function sendLog(
  url: string,
  body: string,
  logAttributes: Readonly<Record<string, AttributeValue>> = {},
): Promise<void> {
  const record = { body: { stringValue: body }, attributes: attributes(logAttributes) }
  await send(`${url}/v1/logs`, { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })
}

/** Sends a counter of each name with the value 1, as from this instance of a service. */
export async function sendCounters(url: string, names: readonly string[], instance: string): Promise<void> {
  const time = `${BigInt(Date.now()) * 1_000_000n}`
  const dataPoints = [{ asInt: '1', startTimeUnixNano: time, timeUnixNano: time }]
  await send(`${url}/v1/metrics`, {
    resourceMetrics: [
      {
        resource: { attributes: attributes({ 'service.name': 'orders', 'service.instance.id': instance }) },
        scopeMetrics: [
          {
            metrics: names.map(name => ({
              name,
              sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints },
            })),
          },
        ],
      },
    ],
  })
}

async function send(url: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
}

function attributes(values: Readonly<Record<string, AttributeValue>>): { key: string; value: unknown }[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }))
}

function anyValue(value: AttributeValue): unknown {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'number') return { intValue: `${value}` }
  return { arrayValue: { values: value.map(anyValue) } }
}
