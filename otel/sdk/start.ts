import cluster from 'node:cluster'
import type { ServerResponse } from 'node:http'
import { context, diag, DiagLogLevel, metrics, trace } from '@opentelemetry/api'
import { getRPCMetadata, RPCType, setGlobalErrorHandler } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { ATTR_HTTP_ROUTE, ATTR_SERVICE_INSTANCE_ID } from '@opentelemetry/semantic-conventions'
import { Diagnostics } from './diagnostics'
import type * as PlanOfFile from './config-file/plan-of-file'
import { Exemplars, NO_EXEMPLARS } from './exemplars'
import { forgetSeries } from './forget-series'
import { createLogRecordProcessors, createMeterProvider, createSpanExports } from './exporters'
import { PrometheusExposition } from './exposition/exporter'
import { InstrumentedModules } from './instrumented-modules'
import { instrumentations } from './instrumentations'
import { isDropped, KeptTraces } from './kept-traces/kept-traces'
import { matches, Recorder } from './kept-traces/recorder'
import { load } from './load'
import type { TelemetryPlan } from './plan'
import { planOfSettings } from './plan-of-settings'
import { observeBytes, observePipelines, type Pipeline } from './pipelines'
import { measureProcess } from './process-metrics'
import { measureRedis } from './redis-duration'
import { packageVersion, SCHEMA_URL } from './resource'
import { createSampler } from './sampling/sampler'
import { DEFAULT_SLOW_MS, parseSettings, type LogLevel, type TelemetrySettings } from './settings'
import { shutdownAll } from './shutdown'
import { GATEWAY_SCOPE, withGatewayTracer } from './spans/gateway-tracer'
import type { Telemetry } from './telemetry'
import { withOnly } from './with-variables'

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

type Variables = Readonly<Record<string, string | undefined>>

/**
 * Starts the telemetry set in the environment, or in the file of `OTEL_CONFIG_FILE`. Never throws: a gateway without
 * telemetry still serves.
 */
export function startTelemetry(environment: Variables): Telemetry {
  const path = environment['OTEL_CONFIG_FILE']?.trim()
  const diagnostics = new Diagnostics()
  try {
    return path ? startFromFile(path, environment, diagnostics) : startFromVariables(environment, diagnostics)
  } catch (error) {
    diagnostics.say('error', 'telemetry could not be started', [error])
    return silent(diagnostics)
  }
}

function startFromVariables(environment: Variables, diagnostics: Diagnostics): Telemetry {
  const { settings, problems, warnings } = parseSettings(environment)
  if (problems.length > 0 || settings.disabled) return { ...silent(diagnostics), problems }
  for (const warning of warnings) diagnostics.say('warn', warning)
  // `OTEL_LOG_LEVEL` would make the SDK install a console logger over ours.
  return withOnly({ ...environment, ...compressionInLowerCase(environment), OTEL_LOG_LEVEL: undefined }, () =>
    start(settings, planOfSettings(settings, environment), diagnostics),
  )
}

/** The exporters read these themselves, and would ignore `GZIP`. */
function compressionInLowerCase(environment: Variables): Variables {
  const found = Object.entries(environment).filter(([name]) => /^OTEL_EXPORTER_OTLP_(?:\w+_)?COMPRESSION$/.test(name))
  return Object.fromEntries(found.map(([name, value]) => [name, value?.toLowerCase()]))
}

/** With the file, no other variable of OpenTelemetry has an effect, also not those that the SDK reads itself. */
function startFromFile(path: string, environment: Variables, diagnostics: Diagnostics): Telemetry {
  const file = load<typeof PlanOfFile>('./config-file/plan-of-file').planOfFile(path, environment)
  const others = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('OTEL_')))
  const { settings: base, problems: ofVariables } = parseSettings({ ...others, ...file.gatewayVariables })
  const problems = [...file.problems, ...ofVariables]
  if (file.disabled || problems.length > 0) return { ...silent(diagnostics), problems: file.disabled ? [] : problems }
  const { readers, spans, logs } = file.plan
  const names = <Name extends string>(plans: readonly { readonly exporter: { readonly name: Name } }[]): Name[] =>
    plans.map(({ exporter }) => exporter.name)
  const settings: TelemetrySettings = {
    ...base,
    logLevel: file.logLevel,
    exporters: { metrics: names(readers), traces: names(spans), logs: names(logs) },
  }
  for (const warning of file.warnings) diagnostics.say('warn', warning)
  return {
    ...withOnly({ ...others, ...file.logVariables }, () => start(settings, file.plan, diagnostics)),
    configFile: path,
    variables: {
      OTEL_EXPORTER_PROMETHEUS_HOST: file.exposition?.host,
      OTEL_EXPORTER_PROMETHEUS_PORT: file.exposition?.port?.toString(),
    },
  }
}

/** Telemetry that measures nothing; every method still works. */
function silent(diagnostics: Diagnostics): Telemetry {
  return {
    enabled: false,
    exporters: { metrics: [], traces: [], logs: [] },
    httpInstrumentation: 'own',
    configFile: undefined,
    variables: {},
    slowMs: DEFAULT_SLOW_MS,
    bodySizes: false,
    problems: [],
    notInstrumented: () => [],
    traces: { list: () => [], otlpJson: () => undefined },
    matchesTrace: matches,
    pipelines: () => [],
    handleMetricsRequest: (_request, response) => answerNotFound(response, 'telemetry is off'),
    ofWorkers: undefined,
    setHttpRoute: () => {},
    ignorePort: () => {},
    forgetSeries: () => {},
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: () => Promise.resolve(true),
  }
}

function start(settings: TelemetrySettings, planned: TelemetryPlan, diagnostics: Diagnostics): Telemetry {
  const plan = ofThisWorker(planned)
  const { resource, spanLimits: limits } = plan
  const modules = new InstrumentedModules(settings.instrumentations)
  const ignoredPorts = new Set<number>()
  const recorder = new Recorder()
  const exemplars = new Exemplars(span => recorder.has(span), isDropped)
  diag.setLogger(diagnostics.logger, { logLevel: LEVELS[settings.logLevel] })
  setGlobalErrorHandler(error => diagnostics.say('error', 'telemetry was not sent', [error]))

  const pipelines: Pipeline[] = []
  // Created before the meter provider is set: some instrumentations register their callbacks again when they get it.
  const instrumentation = instrumentations(settings, ignoredPorts)
  // Not created by NodeSDK, which does it too late for processors and exporters to count their losses in it.
  const { meterProvider, readers } = createMeterProvider(
    plan,
    plan.hasExemplars ? exemplars : NO_EXEMPLARS,
    pipelines,
    settings.nativeHistograms,
  )
  if (meterProvider !== undefined) metrics.setGlobalMeterProvider(exemplars.watch(meterProvider))
  const ownMetrics = meterProvider === undefined ? {} : { selfObsMeterProvider: meterProvider }
  // There is always a processor: without one the SDK would register no tracer, and logs and responses would have no
  // trace ids.
  const exports = createSpanExports(plan.spans, ownMetrics, pipelines)
  const keptTraces = new KeptTraces({ ...settings.keptTraces, exports, recorder })
  const logRecordProcessors = createLogRecordProcessors(plan.logs, ownMetrics, pipelines)
  const sampler = createSampler(plan.sampler)
  new NodeSDK({
    resource,
    autoDetectResources: false,
    metricReaders: [],
    sampler,
    textMapPropagator: plan.propagator,
    spanProcessors: [keptTraces],
    spanLimits: limits,
    logRecordProcessors,
    instrumentations: instrumentation,
  }).start()
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
  if (pipelines.length > 0) {
    observePipelines(meter, pipelines)
    observeBytes(meter, pipelines)
  }
  const stopMeasuringRedis = measureRedis(meter)
  const exposition = readers.find(reader => reader instanceof PrometheusExposition)
  const stopDraining =
    plan.views.length > 0 && readers.length > (settings.nativeHistograms ? 0 : 1)
      ? drainRegularly(exposition)
      : undefined

  return {
    enabled: true,
    configFile: undefined,
    variables: {},
    exporters: settings.exporters,
    httpInstrumentation: settings.httpInstrumentation,
    slowMs: settings.keptTraces.slowMs,
    bodySizes: settings.bodySizes,
    problems: [],
    notInstrumented: () => modules.missing(),
    traces: recorder,
    matchesTrace: matches,
    pipelines: () => pipelines.map(({ state }) => state),
    handleMetricsRequest: (request, response) => {
      if (exposition === undefined) answerNotFound(response, 'no Prometheus exporter is configured')
      else exposition.getMetricsRequestHandler(request, response)
    },
    ofWorkers: exposition,
    setHttpRoute,
    ignorePort: port => {
      ignoredPorts.add(port)
    },
    forgetSeries: attributes => {
      if (meterProvider !== undefined) forgetSeries(meterProvider, attributes)
    },
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: timeoutMs => {
      stopMeasuringRedis()
      stopDraining?.()
      return shutdownAll([keptTraces, ...logRecordProcessors, ...readers], timeoutMs, diagnostics)
    },
  }
}

/** Gives each worker its own `service.instance.id`, also where one is set for the gateway: a receiver would mix their counters. */
function ofThisWorker(plan: TelemetryPlan): TelemetryPlan {
  const id = plan.resource.attributes[ATTR_SERVICE_INSTANCE_ID]
  if (cluster.worker === undefined || typeof id !== 'string') return plan
  const own = resourceFromAttributes({ [ATTR_SERVICE_INSTANCE_ID]: `${id}-${cluster.worker.id}` })
  return { ...plan, resource: plan.resource.merge(own) }
}

const DRAIN_INTERVAL_MS = 60_000

function drainRegularly(exposition: PrometheusExposition | undefined): () => void {
  const timer = setInterval(() => {
    exposition?.drain().catch((error: unknown) => diag.error('metrics could not be collected', error))
  }, DRAIN_INTERVAL_MS).unref()
  return () => clearInterval(timer)
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
