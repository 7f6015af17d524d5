import type { IncomingHttpHeaders } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { bodyOf, startUpstream } from './start-upstream'

/** A span as a backend received it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
  readonly service: unknown
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface ReceivedLog {
  readonly body: unknown
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface ReceivedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** A backend that takes OTLP/JSON over HTTP, and remembers. */
export interface OtlpSink {
  readonly url: string
  readonly spans: ReceivedSpan[]
  readonly logs: ReceivedLog[]
  /** Name of each metric to the values of `service.instance.id` it came from. */
  readonly metrics: Map<string, Set<unknown>>
  /** Path and headers of each request. */
  readonly requests: ReceivedRequest[]
  /** Stops listening; what was received stays. */
  stop(): Promise<void>
  /** After `stop`: listens again, on the same port. */
  startAgain(): Promise<void>
}

/** Makes the `otlp_http/vendor` exporter of collector.yaml speak JSON. Nothing else about it is changed. */
export const JSON_ENCODING = 'exporters::otlp_http/vendor::encoding: json'

export async function startOtlpSink(host = '127.0.0.1'): Promise<OtlpSink> {
  const received = {
    spans: [] as ReceivedSpan[],
    logs: [] as ReceivedLog[],
    metrics: new Map<string, Set<unknown>>(),
    requests: [] as ReceivedRequest[],
  }
  const listen = async (port = 0): ReturnType<typeof startUpstream> =>
    startUpstream(
      (request, response) => {
        const { url = '', headers } = request
        received.requests.push({ path: url, headers })
        bodyOf(request).then(
          body => {
            const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
            remember(JSON.parse(bytes.toString()) as OtlpRequest, received)
            response.setHeader('content-type', 'application/json').end('{}')
          },
          () => response.destroy(),
        )
      },
      { port, host },
    )
  let server = await listen()
  return {
    ...received,
    url: server.url,
    stop: async () => server.stop(),
    startAgain: async () => {
      server = await listen(server.port)
    },
  }
}

interface AnyValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values: readonly AnyValue[] }
}
type Attributes = readonly { readonly key: string; readonly value: AnyValue }[]
interface Resource {
  readonly attributes?: Attributes
}
interface OtlpRequest {
  readonly resourceSpans?: readonly {
    readonly resource: Resource
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
  readonly resourceLogs?: readonly {
    readonly scopeLogs: readonly { readonly logRecords: readonly { body: AnyValue; attributes?: Attributes }[] }[]
  }[]
  readonly resourceMetrics?: readonly {
    readonly resource: Resource
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[]
  }[]
}
interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
  readonly attributes?: Attributes
}

function remember(request: OtlpRequest, received: Pick<OtlpSink, 'spans' | 'logs' | 'metrics'>): void {
  for (const { resource, scopeSpans } of request.resourceSpans ?? []) {
    const service = flatten(resource.attributes)['service.name']
    for (const { traceId, spanId, name, attributes } of scopeSpans.flatMap(scope => scope.spans)) {
      received.spans.push({ traceId, spanId, name, service, attributes: flatten(attributes) })
    }
  }
  for (const { scopeLogs } of request.resourceLogs ?? []) {
    for (const { body, attributes } of scopeLogs.flatMap(scope => scope.logRecords)) {
      received.logs.push({ body: plain(body), attributes: flatten(attributes) })
    }
  }
  for (const { resource, scopeMetrics } of request.resourceMetrics ?? []) {
    const sender = flatten(resource.attributes)['service.instance.id']
    for (const { name } of scopeMetrics.flatMap(scope => scope.metrics)) {
      received.metrics.set(name, (received.metrics.get(name) ?? new Set()).add(sender))
    }
  }
}

function flatten(attributes: Attributes = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))
}

function plain(value: AnyValue): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plain)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.doubleValue ?? value.boolValue
}
