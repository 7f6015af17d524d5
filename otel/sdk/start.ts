import type { ServerResponse } from 'node:http'
import { context, diag, DiagLogLevel, metrics, trace } from '@opentelemetry/api'
import { getRPCMetadata, RPCType, setGlobalErrorHandler } from '@opentelemetry/core'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { ATTR_HTTP_ROUTE } from '@opentelemetry/semantic-conventions'
import { Diagnostics } from './diagnostics'
import { Exemplars } from './exemplars'
import { createLogRecordProcessors, createMeterProvider, createSpanExports } from './exporters'
import { PrometheusExposition } from './exposition/exporter'
import { InstrumentedModules } from './instrumented-modules'
import { instrumentations } from './instrumentations'
import { isDropped, KeptTraces } from './kept-traces/kept-traces'
import { Recorder } from './kept-traces/recorder'
import { createPropagator } from './propagation/propagators'
import { observePipelines, type Pipeline } from './pipelines'
import { measureProcess } from './process-metrics'
import { measureRedis } from './redis-duration'
import { createResource, packageVersion, SCHEMA_URL } from './resource'
import { createSampler, headSampler } from './sampling/sampler'
import { DEFAULT_SLOW_MS, parseSettings, type LogLevel, type TelemetrySettings } from './settings'
import { shutdownAll } from './shutdown'
import { GATEWAY_SCOPE, withGatewayTracer } from './spans/gateway-tracer'
import type { SpanMaker } from './spans/gateway-span'
import { spanLimits } from './spans/span-limits'
import type { Telemetry } from './telemetry'

/** The instrumentation scope of measurements made here and not by an instrumentation. */
const SCOPE_NAME = 'myesi-gateway/process'

const VERSION = packageVersion()
/** Version and schema URL of the scopes created here. */
const SCOPE_DETAILS = { schemaUrl: SCHEMA_URL, ...(VERSION !== undefined && { version: VERSION }) }

const LEVELS: Record<LogLevel, DiagLogLevel> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
}

/** Starts the telemetry set in the environment. Never throws: a gateway without telemetry still serves. */
export function startTelemetry(environment: Readonly<Record<string, string | undefined>>): Telemetry {
  const { settings, problems, warnings } = parseSettings(environment)
  const diagnostics = new Diagnostics()
  if (problems.length > 0 || settings.disabled) return { ...silent(diagnostics), problems }
  for (const warning of warnings) diagnostics.say('warn', warning)
  try {
    return start(settings, spanLimits(environment), diagnostics)
  } catch (error) {
    diagnostics.say('error', 'telemetry could not be started', [error])
    return silent(diagnostics)
  }
}

/** Telemetry that measures nothing; every method still works. */
function silent(diagnostics: Diagnostics): Telemetry {
  return {
    enabled: false,
    exporters: { metrics: [], traces: [], logs: [] },
    httpInstrumentation: 'own',
    slowMs: DEFAULT_SLOW_MS,
    bodySizes: false,
    problems: [],
    notInstrumented: () => [],
    traces: { list: () => [], otlpJson: () => undefined },
    pipelines: () => [],
    handleMetricsRequest: (_request, response) => answerNotFound(response, 'telemetry is off'),
    setHttpRoute: () => {},
    ignorePort: () => {},
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: () => Promise.resolve(true),
  }
}

function start(settings: TelemetrySettings, limits: SpanMaker['limits'], diagnostics: Diagnostics): Telemetry {
  const modules = new InstrumentedModules(settings.instrumentations)
  const ignoredPorts = new Set<number>()
  const recorder = new Recorder()
  const exemplars = new Exemplars(span => recorder.has(span), isDropped)
  const resource = createResource(settings.resourceDetectors)
  diag.setLogger(diagnostics.logger, { logLevel: LEVELS[settings.logLevel] })
  setGlobalErrorHandler(error => diagnostics.say('error', 'telemetry was not sent', [error]))

  const pipelines: Pipeline[] = []
  // Created before the meter provider is set: some instrumentations register their callbacks again when they get it.
  const instrumentation = instrumentations(settings, ignoredPorts)
  // Not created by NodeSDK, which does it too late for processors and exporters to count their losses in it.
  const { meterProvider, readers } = createMeterProvider(settings, resource, exemplars, pipelines)
  if (meterProvider !== undefined) metrics.setGlobalMeterProvider(exemplars.watch(meterProvider))
  const ownMetrics = meterProvider === undefined ? {} : { selfObsMeterProvider: meterProvider }
  // There is always a processor: without one the SDK would register no tracer, and logs and responses would have no
  // trace ids.
  const exports = createSpanExports(settings, ownMetrics, pipelines)
  const keptTraces = new KeptTraces({ ...settings.keptTraces, exports, recorder })
  const logRecordProcessors = createLogRecordProcessors(settings, ownMetrics, pipelines)
  const sampler = createSampler(headSampler(settings.sampler))
  withoutConsoleLogger(() => {
    const sdk = new NodeSDK({
      resource,
      autoDetectResources: false,
      metricReaders: [],
      sampler,
      textMapPropagator: createPropagator(settings.propagators, settings.baggageKeys),
      spanProcessors: [keptTraces],
      spanLimits: limits,
      logRecordProcessors,
      instrumentations: instrumentation,
    })
    sdk.start()
  })
  const tracers = trace.getTracerProvider()
  trace.disable() // removes the global provider: only one can be set
  trace.setGlobalTracerProvider(
    withGatewayTracer(tracers, sampler, {
      resource,
      scope: { name: GATEWAY_SCOPE, ...SCOPE_DETAILS },
      limits,
      processor: keptTraces,
    }),
  )

  const meter = metrics.getMeter(SCOPE_NAME, VERSION, { schemaUrl: SCHEMA_URL })
  measureProcess(meter)
  keptTraces.observe(meter)
  modules.observe(meter)
  if (pipelines.length > 0) observePipelines(meter, pipelines)
  const stopMeasuringRedis = measureRedis(meter)
  const exposition = readers.find(reader => reader instanceof PrometheusExposition)

  return {
    enabled: true,
    exporters: settings.exporters,
    httpInstrumentation: settings.httpInstrumentation,
    slowMs: settings.keptTraces.slowMs,
    bodySizes: settings.bodySizes,
    problems: [],
    notInstrumented: () => modules.missing(),
    traces: recorder,
    pipelines: () => pipelines.map(({ state }) => state),
    handleMetricsRequest: (request, response) => {
      if (exposition === undefined) answerNotFound(response, 'no Prometheus exporter is configured')
      else exposition.getMetricsRequestHandler(request, response)
    },
    setHttpRoute,
    ignorePort: port => {
      ignoredPorts.add(port)
    },
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: timeoutMs => {
      stopMeasuringRedis()
      return shutdownAll([keptTraces, ...logRecordProcessors, ...readers], timeoutMs, diagnostics)
    },
  }
}

/** Runs `act` without `OTEL_LOG_LEVEL`, which would make the SDK's constructor install a console logger over ours. */
function withoutConsoleLogger(act: () => void): void {
  const level = process.env['OTEL_LOG_LEVEL']
  delete process.env['OTEL_LOG_LEVEL']
  try {
    act()
  } finally {
    if (level !== undefined) process.env['OTEL_LOG_LEVEL'] = level
  }
}

function setHttpRoute(route: string): void {
  const metadata = getRPCMetadata(context.active())
  if (metadata?.type !== RPCType.HTTP) return
  // The metric and the span's name use this when the response ends; the span itself may be read before that.
  metadata.route = route
  metadata.span.setAttribute(ATTR_HTTP_ROUTE, route)
}

function answerNotFound(response: ServerResponse, reason: string): void {
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end(`${reason}\n`)
}
