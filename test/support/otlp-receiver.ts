import { Server as GrpcServer, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { attributesOf, decodeProtobuf, hexadecimal, plain, type OtlpRequest, type OtlpSignal } from './otlp-messages'
import { bodyOf, startUpstream } from './start-upstream'

type Attributes = Readonly<Record<string, unknown>>

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentSpanId: string
  readonly name: string
  /** 2 is SERVER, 3 is CLIENT. */
  readonly kind: number
  readonly attributes: Attributes
}

export interface ReceivedMetric {
  readonly name: string
  readonly unit: string | undefined
  /** Whether it is an exponential histogram. */
  readonly isExponential: boolean
  /** Attributes of each of its points. */
  readonly points: readonly Attributes[]
}

export interface ReceivedLogRecord {
  readonly body: unknown
  readonly severity: string | undefined
  readonly traceId: string
  readonly attributes: Attributes
}

/** How one request came in: `POST /v1/traces application/x-protobuf gzip`, or `grpc traces`. */
export type ReceivedRequest = string

/** Everything a collector would have been given. */
export class OtlpReceiver {
  readonly requests: ReceivedRequest[] = []
  readonly resources: Attributes[] = []
  readonly spans: ReceivedSpan[] = []
  /** Number of SERVER spans by `service.instance.id`. */
  readonly requestsByInstance = new Map<unknown, number>()
  readonly metrics: ReceivedMetric[] = []
  readonly logs: ReceivedLogRecord[] = []
  /** Of spans and metrics, as `name version schema URL`. */
  readonly scopes = new Set<string>()
  /** `http://127.0.0.1:PORT` of OTLP/HTTP. */
  readonly httpUrl: string
  /** The same of OTLP/gRPC. */
  readonly grpcUrl: string
  readonly #stop: () => Promise<void>

  private constructor(ports: { http: number; grpc: number }, stop: () => Promise<void>) {
    this.httpUrl = `http://127.0.0.1:${ports.http}`
    this.grpcUrl = `http://127.0.0.1:${ports.grpc}`
    this.#stop = stop
  }

  /** Takes protobuf and JSON over HTTP, gzipped or not, and gRPC. */
  static async start(): Promise<OtlpReceiver> {
    const http = await startUpstream((request, response) => {
      bodyOf(request).then(
        body => {
          const type = request.headers['content-type'] ?? ''
          const encoding = request.headers['content-encoding'] ?? ''
          const bytes = encoding === 'gzip' ? gunzipSync(body) : body
          const signal = (request.url ?? '').replace('/v1/', '') as OtlpSignal
          const isJson = type === 'application/json'
          receiver.requests.push(`POST ${request.url} ${type} ${encoding}`.trim())
          receiver.#take(isJson ? (JSON.parse(bytes.toString()) as OtlpRequest) : decodeProtobuf(signal, bytes))
          response.setHeader('content-type', type).end(isJson ? '{}' : '')
        },
        () => response.destroy(),
      )
    })
    const grpc = new GrpcServer()
    for (const signal of ['traces', 'metrics', 'logs'] as const) {
      grpc.addService(exportService(signal), {
        Export: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
          receiver.requests.push(`grpc ${signal}`)
          receiver.#take(decodeProtobuf(signal, call.request))
          answer(null, Buffer.alloc(0))
        },
      })
    }
    const grpcPort = await promisify(grpc.bindAsync.bind(grpc))('127.0.0.1:0', ServerCredentials.createInsecure())
    const receiver = new OtlpReceiver({ http: http.port, grpc: grpcPort }, async () => {
      grpc.forceShutdown()
      await http.stop()
    })
    return receiver
  }

  async stop(): Promise<void> {
    await this.#stop()
  }

  #take({ resourceSpans = [], resourceMetrics = [], resourceLogs = [] }: OtlpRequest): void {
    for (const { resource } of [...resourceSpans, ...resourceMetrics, ...resourceLogs]) {
      this.resources.push(attributesOf(resource))
    }
    for (const { resource, scopeSpans } of resourceSpans) {
      const id = attributesOf(resource)['service.instance.id']
      const servers = scopeSpans.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 2))
      this.requestsByInstance.set(id, (this.requestsByInstance.get(id) ?? 0) + servers.length)
    }
    const ofSpans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)
    const ofMetrics = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)
    for (const { scope, schemaUrl } of [...ofSpans, ...ofMetrics])
      this.scopes.add(`${scope?.name} ${scope?.version} ${schemaUrl}`)
    for (const span of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(scope => scope.spans))) {
      this.spans.push({
        traceId: hexadecimal(span.traceId),
        spanId: hexadecimal(span.spanId),
        parentSpanId: hexadecimal(span.parentSpanId),
        name: span.name,
        kind: span.kind,
        attributes: attributesOf(span),
      })
    }
    for (const metric of resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(scope => scope.metrics))) {
      const { gauge, sum, histogram, exponentialHistogram } = metric
      const { dataPoints } = gauge ?? sum ?? histogram ?? exponentialHistogram ?? { dataPoints: [] }
      const points = dataPoints.map(attributesOf)
      this.metrics.push({ name: metric.name, unit: metric.unit, isExponential: Boolean(exponentialHistogram), points })
    }
    for (const record of resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(scope => scope.logRecords))) {
      this.logs.push({
        body: plain(record.body),
        severity: record.severityText,
        traceId: hexadecimal(record.traceId),
        attributes: attributesOf(record),
      })
    }
  }
}

const SERVICES: Readonly<Record<OtlpSignal, string>> = {
  traces: 'opentelemetry.proto.collector.trace.v1.TraceService',
  metrics: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
  logs: 'opentelemetry.proto.collector.logs.v1.LogsService',
}

/** The bytes as they come; they are decoded like those of HTTP. */
function exportService(signal: OtlpSignal): Parameters<GrpcServer['addService']>[0] {
  const asIs = (bytes: Buffer): Buffer => bytes
  return {
    Export: {
      path: `/${SERVICES[signal]}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  }
}
