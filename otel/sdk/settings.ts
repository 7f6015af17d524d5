import { accessSync, constants } from 'node:fs'
import { Environment } from './environment'
import { INSTRUMENTATION_NAMES } from './instrumentation-names'
import { problemsWithHeaders } from './otlp-headers'
import type { SamplerSettings } from './sampling/sampler'
import type { TelemetryProblem } from './telemetry'

/**
 * The checked values of the `OTEL_*` variables. The SDK silently falls back when a value is wrong (an unknown exporter
 * name leaves a program without metrics), so every variable is checked here first, also those that the SDK and the
 * exporters read themselves: sampler, propagators, limits, OTLP endpoints and headers.
 */
export interface TelemetrySettings {
  /** `OTEL_SDK_DISABLED`. */
  readonly disabled: boolean
  /** `OTEL_LOG_LEVEL`: the minimum level of SDK diagnostics that are logged; default `warn`. */
  readonly logLevel: LogLevel
  readonly exporters: {
    readonly metrics: readonly MetricsExporter[]
    readonly traces: readonly PushExporter[]
    readonly logs: readonly PushExporter[]
  }
  /** OTLP protocol of each signal. */
  readonly protocols: { readonly metrics: OtlpProtocol; readonly traces: OtlpProtocol; readonly logs: OtlpProtocol }
  /** OTLP address of each signal for display: without credentials and query. */
  readonly receivers: Readonly<Record<'metrics' | 'traces' | 'logs', string>>
  /** `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`: applies to OTLP only; `/metrics` keeps its buckets. */
  readonly histograms: (typeof HISTOGRAMS)[number]
  /** For exporters that push metrics (`otlp`, `console`); the timeout never exceeds the interval. */
  readonly metricExport: { readonly intervalMs: number; readonly timeoutMs: number }
  readonly spanBatches: BatchSettings
  readonly logBatches: BatchSettings
  /** `OTEL_PROPAGATORS`. */
  readonly propagators: readonly PropagatorName[]
  /** `TELEMETRY_BAGGAGE_KEYS`; undefined: all. */
  readonly baggageKeys: readonly string[] | undefined
  /** `OTEL_NODE_RESOURCE_DETECTORS`; undefined: only `env`. */
  readonly resourceDetectors: readonly string[] | undefined
  readonly sampler: SamplerSettings
  /** `TRACES_SLOW_MS`, default 1000, and `TRACES_KEEP_PER_SECOND` for each route and reason, default 5. */
  readonly keptTraces: { readonly slowMs: number; readonly perSecond: number }
  /** `TELEMETRY_HTTP_INSTRUMENTATION`: which code instruments the listener and the upstream calls; default `own`. */
  readonly httpInstrumentation: HttpInstrumentation
  /** `TELEMETRY_BODY_SIZES`; default false, as the conventions have it: two more histograms for each series of the duration. */
  readonly bodySizes: boolean
  /** `TELEMETRY_NATIVE_HISTOGRAMS`; default false: each histogram is then kept twice. */
  readonly nativeHistograms: boolean
  /** `OTEL_METRICS_EXEMPLAR_FILTER`: false with `always_off`. */
  readonly hasExemplars: boolean
  /** `OTEL_NODE_ENABLED_INSTRUMENTATIONS` without `OTEL_NODE_DISABLED_INSTRUMENTATIONS`, short names. */
  readonly instrumentations: readonly string[]
}

/** Bounds of a batch processor in the SDK's form; absent fields keep the SDK's default. */
export interface BatchSettings {
  readonly maxQueueSize?: number
  readonly scheduledDelayMillis?: number
  readonly exportTimeoutMillis?: number
  readonly maxExportBatchSize?: number
}

export type PropagatorName = (typeof PROPAGATORS)[number]
export type PushExporter = 'otlp' | 'console'
export type MetricsExporter = PushExporter | 'prometheus'
export type OtlpProtocol = (typeof PROTOCOLS)[number]
/** `own`: the gateway's own code, instead of the `stock` instrumentations of http, Express and undici. */
export type HttpInstrumentation = (typeof HTTP_INSTRUMENTATIONS)[number]
export type LogLevel = (typeof LOG_LEVELS)[number]

const HTTP_INSTRUMENTATIONS = ['own', 'stock'] as const
/** The instrumentations that the gateway's own code replaces: with both, every request would be counted twice. */
const STOCK_HTTP_INSTRUMENTATIONS: readonly string[] = ['http', 'express', 'undici']
/** A delay that users notice. */
export const DEFAULT_SLOW_MS = 1_000

const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const
const LOG_LEVELS = ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all'] as const
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
const PROPAGATORS = ['tracecontext', 'baggage', 'b3', 'b3multi', 'xray', 'none'] as const
const DETECTORS = [
  'env',
  'host',
  'os',
  'process',
  'serviceinstance',
  'container',
  'alibaba',
  'aws',
  'azure',
  'gcp',
  'all',
  'none',
] as const
const TEMPORALITIES = ['cumulative', 'delta', 'lowmemory'] as const
const HISTOGRAMS = ['explicit_bucket_histogram', 'base2_exponential_bucket_histogram'] as const
const SIGNALS = ['TRACES', 'METRICS', 'LOGS'] as const
const LIMITS = [
  'OTEL_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  'OTEL_SPAN_EVENT_COUNT_LIMIT',
  'OTEL_SPAN_LINK_COUNT_LIMIT',
  'OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_LINK_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT',
  'OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT',
] as const

/** Variables read by the SDK or by src/config, or that need no check; they are not reported as misspelled. */
const READ_BY_OTHERS = [
  'OTEL_CONFIG_FILE',
  'OTEL_SERVICE_NAME',
  'OTEL_TRACES_SAMPLER_ARG',
  'OTEL_EXPORTER_PROMETHEUS_HOST',
  'OTEL_EXPORTER_PROMETHEUS_PORT',
]

const ZIPKIN = 'the specification gives up the Zipkin exporter; Zipkin takes OTLP, or a Collector sends to it'
const JAEGER = 'the Jaeger exporters are gone; Jaeger takes OTLP: OTEL_TRACES_EXPORTER=otlp'
/** Variables of the specification and of its past, or the beginning of several, that have no effect, with the reason. */
export const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  OTEL_EXPORTER_ZIPKIN: ZIPKIN,
  OTEL_EXPORTER_JAEGER: JAEGER,
  OTEL_EXPERIMENTAL_CONFIG_FILE: 'its name is OTEL_CONFIG_FILE now',
  OTEL_EXPORTER_OTLP_SPAN_INSECURE: 'its name is OTEL_EXPORTER_OTLP_TRACES_INSECURE now',
  OTEL_EXPORTER_OTLP_METRIC_INSECURE: 'its name is OTEL_EXPORTER_OTLP_METRICS_INSECURE now',
  OTEL_ENTITIES: 'the SDK for Node has no entities; use OTEL_RESOURCE_ATTRIBUTES',
  OTEL_SEMCONV_STABILITY_OPT_IN: 'the stable conventions are always used',
  OTEL_INSTRUMENTATION:
    'the instrumentations of the gateway have no variables; docs/telemetry.md says what they record',
  OTEL_NODE_EXPERIMENTAL_SDK_METRICS: 'the metrics of the SDK are always on',
}
/** Exporters of the specification that are not here. */
const EXPORTERS_NOT_HERE: Readonly<Record<string, string>> = {
  zipkin: ZIPKIN,
  jaeger: JAEGER,
  logging: 'its name is console now',
  'otlp/stdout': 'the SDK for Node has no exporter of OTLP to standard output; use console',
}

/** Instrumentations enabled by default; the rest of auto-instrumentations-node stays off unless named. */
export const INSTRUMENTATIONS = ['http', 'express', 'undici', 'ioredis', 'pino', 'runtime-node'] as const

/** Reads every variable and reports all problems; with any problem, telemetry must not start. */
export function parseSettings(variables: Readonly<Record<string, string | undefined>>): {
  readonly settings: TelemetrySettings
  readonly problems: readonly TelemetryProblem[]
  /** Variables that are probably misspelled: reported, but the start goes on. */
  readonly warnings: readonly string[]
} {
  const environment = new Environment(variables)
  const disabled = environment.boolean('OTEL_SDK_DISABLED')
  const httpInstrumentation = environment.oneOf('TELEMETRY_HTTP_INSTRUMENTATION', HTTP_INSTRUMENTATIONS) ?? 'own'
  const protocols = {
    metrics: protocol(environment, 'METRICS'),
    traces: protocol(environment, 'TRACES'),
    logs: protocol(environment, 'LOGS'),
  }
  const settings: TelemetrySettings = {
    disabled,
    httpInstrumentation,
    sampler: sampler(environment),
    keptTraces: {
      slowMs: environment.number('TRACES_SLOW_MS', 'milliseconds', { min: 1 }) ?? DEFAULT_SLOW_MS,
      perSecond: environment.number('TRACES_KEEP_PER_SECOND', 'traces per second', { min: 0, whole: false }) ?? 5,
    },
    logLevel: environment.oneOf('OTEL_LOG_LEVEL', LOG_LEVELS) ?? 'warn',
    exporters: {
      metrics: exporters(environment, 'METRICS', ['otlp', 'console', 'prometheus'], ['prometheus']),
      traces: exporters(environment, 'TRACES', ['otlp', 'console'], pushDefault(environment, 'TRACES')),
      logs: exporters(environment, 'LOGS', ['otlp', 'console'], pushDefault(environment, 'LOGS')),
    },
    protocols,
    receivers: {
      metrics: receiver(environment, 'METRICS', protocols.metrics),
      traces: receiver(environment, 'TRACES', protocols.traces),
      logs: receiver(environment, 'LOGS', protocols.logs),
    },
    histograms:
      environment.oneOf('OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION', HISTOGRAMS) ??
      'explicit_bucket_histogram',
    metricExport: metricExport(environment),
    spanBatches: batches(environment, 'OTEL_BSP'),
    logBatches: batches(environment, 'OTEL_BLRP'),
    propagators: propagators(environment),
    baggageKeys: environment.list('TELEMETRY_BAGGAGE_KEYS'),
    resourceDetectors: environment.someOf('OTEL_NODE_RESOURCE_DETECTORS', DETECTORS),
    bodySizes: environment.boolean('TELEMETRY_BODY_SIZES'),
    nativeHistograms: environment.boolean('TELEMETRY_NATIVE_HISTOGRAMS'),
    hasExemplars: hasExemplars(environment),
    instrumentations: instrumentations(environment, httpInstrumentation),
  }
  checkOtlp(environment, settings)
  const warnings = disabled ? [] : receiverWarnings(environment, settings)
  checkResource(environment)
  for (const limit of LIMITS) environment.number(limit, 'attributes, events, links or characters', { min: 0 })
  environment.oneOf('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', TEMPORALITIES)
  // With the SDK disabled, other problems must not keep the gateway from serving.
  return {
    settings,
    problems: disabled ? [] : environment.problems,
    warnings: [...environment.unread(READ_BY_OTHERS, WITHOUT_EFFECT), ...warnings],
  }
}

function exporters<Name extends string>(
  environment: Environment,
  signal: (typeof SIGNALS)[number],
  allowed: readonly Name[],
  unset: readonly Name[],
): readonly Name[] {
  const variable = `OTEL_${signal}_EXPORTER`
  if (isNotHere(environment, variable, [...allowed, 'none'], environment.list(variable) ?? [], EXPORTERS_NOT_HERE))
    return []
  const names = environment.someOf<Name | 'none'>(variable, [...allowed, 'none'])
  if (names === undefined) return unset
  if (names.includes('none') && names.length > 1) {
    // The SDK's two entry points treat this value differently.
    environment.complain({
      where: variable,
      problem: `"none" together with other exporters says two things: ${names.join(', ')}`,
      allowed: `none, or any of ${allowed.join(', ')}`,
    })
  }
  return names.filter((name): name is Name => name !== 'none')
}

/** Traces and logs are exported by default only if an OTLP endpoint is set. */
function pushDefault(environment: Environment, signal: 'TRACES' | 'LOGS'): readonly PushExporter[] {
  const endpoint =
    environment.text(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) ?? environment.text('OTEL_EXPORTER_OTLP_ENDPOINT')
  return endpoint === undefined ? [] : ['otlp']
}

function protocol(environment: Environment, signal: (typeof SIGNALS)[number]): OtlpProtocol {
  // The general variable is checked in checkOtlp; checking it here would report the problem once per signal.
  const general = PROTOCOLS.find(name => name === environment.text('OTEL_EXPORTER_OTLP_PROTOCOL')?.toLowerCase())
  return environment.oneOf(`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, PROTOCOLS) ?? general ?? 'http/protobuf'
}

function metricExport(environment: Environment): TelemetrySettings['metricExport'] {
  const intervalMs = environment.number('OTEL_METRIC_EXPORT_INTERVAL', 'milliseconds', { min: 1 }) ?? 60_000
  const timeoutMs = environment.number('OTEL_METRIC_EXPORT_TIMEOUT', 'milliseconds', { min: 1 })
  if (timeoutMs !== undefined && timeoutMs > intervalMs) {
    environment.complain({
      where: 'OTEL_METRIC_EXPORT_TIMEOUT',
      problem: `${timeoutMs} ms is longer than the interval between two exports, ${intervalMs} ms`,
      allowed: 'at most OTEL_METRIC_EXPORT_INTERVAL',
    })
  }
  return { intervalMs, timeoutMs: Math.min(timeoutMs ?? 30_000, intervalMs) }
}

function batches(environment: Environment, prefix: 'OTEL_BSP' | 'OTEL_BLRP'): BatchSettings {
  const found = {
    maxQueueSize: environment.number(`${prefix}_MAX_QUEUE_SIZE`, 'records', { min: 1 }),
    scheduledDelayMillis: environment.number(`${prefix}_SCHEDULE_DELAY`, 'milliseconds', { min: 1 }),
    exportTimeoutMillis: environment.number(`${prefix}_EXPORT_TIMEOUT`, 'milliseconds', { min: 1 }),
    maxExportBatchSize: environment.number(`${prefix}_MAX_EXPORT_BATCH_SIZE`, 'records', { min: 1 }),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
}

function instrumentations(environment: Environment, http: HttpInstrumentation): readonly string[] {
  const enabled = environment.someOf('OTEL_NODE_ENABLED_INSTRUMENTATIONS', INSTRUMENTATION_NAMES) ?? INSTRUMENTATIONS
  const disabled: readonly string[] =
    environment.someOf('OTEL_NODE_DISABLED_INSTRUMENTATIONS', INSTRUMENTATION_NAMES) ?? []
  const replaced = http === 'own' ? STOCK_HTTP_INSTRUMENTATIONS : []
  return enabled.filter(name => !disabled.includes(name) && !replaced.includes(name))
}

/** Names in the specification that OpenTelemetry for Node does not support, with the replacement for each. */
const NOT_HERE: Readonly<Record<string, string>> = {
  jaeger_remote:
    'no sampler for Node asks Jaeger any more: use parentbased_traceidratio here, or always_on and sample in a Collector',
  parentbased_jaeger_remote:
    'no sampler for Node asks Jaeger any more: use parentbased_traceidratio here, or always_on and sample in a Collector',
  xray: 'no sampler for Node asks X-Ray: use parentbased_traceidratio here, or always_on and sample in a Collector',
  jaeger: 'uber-trace-id is no longer read or written for Node: use tracecontext or b3, which Jaeger clients have too',
  ottrace: 'the fields of OpenTracing are no longer read or written for Node: use tracecontext or b3multi',
}

/** @returns whether it is one of those; if so, the problem was reported */
function isNotHere(
  environment: Environment,
  variable: string,
  allowed: readonly string[],
  names: readonly string[],
  reasons = NOT_HERE,
): boolean {
  const name = names
    .map(each => each.toLowerCase())
    .find(each => Object.hasOwn(reasons, each) && !allowed.includes(each))
  if (name === undefined) return false
  environment.complain({
    where: variable,
    problem: `"${name}" is not supported: ${reasons[name]}`,
    allowed: allowed.join(', '),
  })
  return true
}

function sampler(environment: Environment): SamplerSettings {
  const variable = 'OTEL_TRACES_SAMPLER'
  if (isNotHere(environment, variable, SAMPLERS, environment.list(variable) ?? []))
    return { name: 'always_on', ratio: 1 }
  const name = environment.oneOf(variable, SAMPLERS) ?? 'parentbased_always_on'
  if (!name.endsWith('traceidratio')) return { name, ratio: 1 }
  const unit = 'traces to keep, as a fraction'
  return { name, ratio: environment.number('OTEL_TRACES_SAMPLER_ARG', unit, { min: 0, max: 1, whole: false }) ?? 1 }
}

/** Exemplars point only at kept traces, so there is no filter that takes more. */
function hasExemplars(environment: Environment): boolean {
  const variable = 'OTEL_METRICS_EXEMPLAR_FILTER'
  const filter = environment.oneOf(variable, ['trace_based', 'always_off', 'always_on'])
  if (filter === 'always_on') {
    environment.complain({
      where: variable,
      problem: '"always_on" is not supported: exemplars point only at traces that are kept and can be opened',
      allowed: 'trace_based, always_off',
    })
  }
  return filter !== 'always_off'
}

function checkOtlp(environment: Environment, settings: TelemetrySettings): void {
  environment.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', PROTOCOLS)
  const allGrpc = Object.values(settings.protocols).every(name => name === 'grpc')
  checkReceiver(environment, 'OTEL_EXPORTER_OTLP_', allGrpc)
  for (const signal of SIGNALS) {
    const name = signal.toLowerCase() as 'traces' | 'metrics' | 'logs'
    checkReceiver(environment, `OTEL_EXPORTER_OTLP_${signal}_`, settings.protocols[name] === 'grpc')
  }
}

function checkReceiver(environment: Environment, prefix: string, grpc: boolean): void {
  checkEndpoint(environment, `${prefix}ENDPOINT`, grpc)
  environment.number(`${prefix}TIMEOUT`, 'milliseconds', { min: 1 })
  environment.oneOf(`${prefix}COMPRESSION`, ['gzip', 'none'])
  environment.oneOf(`${prefix}INSECURE`, ['true', 'false'])
  checkHeaders(environment, `${prefix}HEADERS`)
  for (const file of ['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE']) checkFile(environment, `${prefix}${file}`)
}

function checkEndpoint(environment: Environment, variable: string, grpc: boolean): void {
  const value = environment.text(variable)
  if (value === undefined) return
  const allowed = grpc ? 'http://host:port, https://host:port or host:port' : 'http://host:port or https://host:port'
  const url = grpc && !/^\w+:\/\//.test(value) ? `https://${value}` : value
  if (!URL.canParse(url)) {
    environment.complain({ where: variable, problem: `"${value}" is not a URL`, allowed })
  } else if (!grpc && !/^https?:\/\//i.test(value) && /^https?:/i.test(value)) {
    environment.complain({ where: variable, problem: `"${value}" is not a URL`, allowed })
  } else if (!['http:', 'https:', ...(grpc ? ['unix:'] : [])].includes(new URL(url).protocol)) {
    environment.complain({ where: variable, problem: `"${value}" is not an HTTP URL`, allowed })
  }
}

/** Warns of settings that are probably mistakes but may be intended. Only for signals exported by OTLP. */
function receiverWarnings(environment: Environment, { exporters: ways, protocols }: TelemetrySettings): string[] {
  const warnings = new Set<string>()
  for (const signal of SIGNALS) {
    const name = nameOf(signal)
    if (!ways[name].includes('otlp')) continue
    const variable = endpointVariable(environment, signal)
    const isBase = variable === BASE_ENDPOINT
    const isGrpc = protocols[name] === 'grpc'
    const url = receiverUrl(environment.text(variable), isGrpc)
    if (url === undefined) continue
    const { port, pathname, search } = url
    if (port === '4317' && !isGrpc)
      warnings.add(`${variable}: port 4317 is usually that of OTLP over gRPC; here it is asked over ${protocols[name]}`)
    if (port === '4318' && isGrpc)
      warnings.add(`${variable}: port 4318 is usually that of OTLP over HTTP; here it is asked over grpc`)
    if (isGrpc && pathname.length > 1) {
      warnings.add(`${variable}: OTLP over gRPC has no path; "${pathname}" is not used`)
    } else if (isBase && SIGNAL_PATH.test(pathname)) {
      warnings.add(
        `${variable}: /v1/traces and so on are appended to it; without "${SIGNAL_PATH.exec(pathname)?.[0]}" it is right`,
      )
    }
    // The query may be a secret.
    if (isBase && !isGrpc && search !== '')
      warnings.add(
        `${variable}: has a "?"; credentials belong in OTEL_EXPORTER_OTLP_HEADERS, and a whole URL in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its like`,
      )
  }
  return [...warnings]
}

/** OTLP address of a signal for display: without credentials and query. */
function receiver(environment: Environment, signal: (typeof SIGNALS)[number], protocol: OtlpProtocol): string {
  const isGrpc = protocol === 'grpc'
  const variable = endpointVariable(environment, signal)
  const url = receiverUrl(environment.text(variable), isGrpc)
  if (isGrpc) return url === undefined ? 'localhost:4317' : url.host || url.pathname
  if (url === undefined) return `http://localhost:4318/v1/${nameOf(signal)}`
  const path = variable === BASE_ENDPOINT ? `${url.pathname.replace(/\/$/, '')}/v1/${nameOf(signal)}` : url.pathname
  return `${url.origin}${path}`
}

const BASE_ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT'
const SIGNAL_PATH = /\/v1\/(?:traces|metrics|logs)\/?$/

function nameOf(signal: (typeof SIGNALS)[number]): 'traces' | 'metrics' | 'logs' {
  return signal.toLowerCase() as 'traces' | 'metrics' | 'logs'
}

/** The variable that sets the endpoint of a signal. */
function endpointVariable(environment: Environment, signal: (typeof SIGNALS)[number]): string {
  const own = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`
  return environment.text(own) === undefined ? BASE_ENDPOINT : own
}

function receiverUrl(text: string | undefined, isGrpc: boolean): URL | undefined {
  if (text === undefined) return undefined
  const url = isGrpc && !/^\w+:\/\//.test(text) ? `https://${text}` : text
  return URL.canParse(url) ? new URL(url) : undefined
}

function checkHeaders(environment: Environment, variable: string): void {
  for (const problem of problemsWithHeaders(environment.text(variable) ?? '')) {
    environment.complain({ where: variable, problem, allowed: 'name=value,name=value' })
  }
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function checkFile(environment: Environment, variable: string): void {
  const path = environment.text(variable)
  if (path === undefined) return
  try {
    accessSync(path, constants.R_OK)
  } catch {
    // Without this check the exporter would start and fail at every export with a TLS error that does not name the
    // file.
    environment.complain({ where: variable, problem: `the file "${path}" cannot be read` })
  }
}

function propagators(environment: Environment): readonly PropagatorName[] {
  const variable = 'OTEL_PROPAGATORS'
  if (isNotHere(environment, variable, PROPAGATORS, environment.list(variable) ?? [])) return []
  const names = environment.someOf(variable, PROPAGATORS)
  if (names !== undefined && names.length > 1 && names.includes('none')) {
    environment.complain({
      where: 'OTEL_PROPAGATORS',
      problem: `"none" together with other propagators says two things: ${names.join(', ')}`,
      allowed: 'none, or any of tracecontext, baggage, b3, b3multi, xray',
    })
  }
  return names ?? ['tracecontext', 'baggage']
}

/** The SDK drops the whole variable when one entry is wrong, and logs that at debug level only. */
function checkResource(environment: Environment): void {
  const variable = 'OTEL_RESOURCE_ATTRIBUTES'
  for (const pair of (environment.text(variable) ?? '').split(',')) {
    if (pair.trim() === '') continue
    const parts = pair.split('=')
    if (parts.length === 2 && parts[0]!.trim() !== '' && decodes(pair) && parts.every(part => part.length <= 255))
      continue
    environment.complain({
      where: variable,
      problem: `"${pair.trim()}" is not a percent-encoded name=value pair of at most 255 characters each`,
      allowed: 'name=value,name=value',
    })
  }
}
