import type { IncomingMessage, ServerResponse } from 'node:http'
import { context, diag, DiagLogLevel, metrics } from '@opentelemetry/api'
import { getRPCMetadata, RPCType, setGlobalErrorHandler } from '@opentelemetry/core'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { ATTR_HTTP_ROUTE } from '@opentelemetry/semantic-conventions'
import { Diagnostics } from './diagnostics'
import { logRecordProcessors, metricReaders, spanProcessors } from './exporters'
import { PrometheusExposition } from './exposition/exporter'
import { instrumentations } from './instrumentations'
import { loadedTooEarly } from './loaded-too-early'
import { measureProcess } from './process-metrics'
import { measureRedis } from './redis-duration'
import { baseResource, detectors } from './resource'
import { parseSettings, type LogLevel, type TelemetrySettings } from './settings'
import { shutdownAll } from './shutdown'
import type { Telemetry } from './telemetry'

/** The instrumentation scope of what is measured here and not by an instrumentation. */
const SCOPE_NAME = 'myesi-gateway/process'

const LEVELS: Record<LogLevel, DiagLogLevel> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
}

/** Starts whatever the environment asks for. Never throws: a gateway without telemetry still serves. */
export function startTelemetry(environment: Readonly<Record<string, string | undefined>>): Telemetry {
  const { settings, problems, warnings } = parseSettings(environment)
  const diagnostics = new Diagnostics()
  if (problems.length > 0 || settings.disabled) return { ...silent(diagnostics), problems }
  for (const warning of warnings) diagnostics.say('warn', warning)
  try {
    return start(settings, diagnostics)
  } catch (error) {
    diagnostics.say('error', 'telemetry could not be started', [error])
    return silent(diagnostics)
  }
}

/** Nothing is measured, and everything that asks gets an answer. */
function silent(diagnostics: Diagnostics): Telemetry {
  return {
    enabled: false,
    exporters: { metrics: [], traces: [], logs: [] },
    httpInstrumentation: 'own',
    problems: [],
    loadedTooEarly: [],
    handleMetricsRequest: answerNotFound,
    setHttpRoute: () => {},
    ignorePort: () => {},
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: () => Promise.resolve(true),
  }
}

function start(settings: TelemetrySettings, diagnostics: Diagnostics): Telemetry {
  const tooEarly = loadedTooEarly()
  const ignoredPorts = new Set<number>()
  const parts = {
    readers: metricReaders(settings),
    spans: spanProcessors(settings),
    logs: logRecordProcessors(settings),
  }
  const sdk = withoutOwnLogger(
    () =>
      new NodeSDK({
        resource: baseResource(),
        resourceDetectors: detectors(settings.resourceDetectors),
        metricReaders: parts.readers,
        spanProcessors: parts.spans,
        logRecordProcessors: parts.logs,
        instrumentations: instrumentations(settings, ignoredPorts),
      }),
  )
  diag.setLogger(diagnostics.logger, { logLevel: LEVELS[settings.logLevel], suppressOverrideMessage: true })
  setGlobalErrorHandler(error => diagnostics.say('error', 'telemetry was not sent', [error]))
  sdk.start()

  const meter = metrics.getMeter(SCOPE_NAME)
  measureProcess(meter)
  const stopMeasuringRedis = measureRedis(meter)
  const exposition = parts.readers.find(reader => reader instanceof PrometheusExposition)

  return {
    enabled: true,
    exporters: settings.exporters,
    httpInstrumentation: settings.httpInstrumentation,
    problems: [],
    loadedTooEarly: tooEarly,
    handleMetricsRequest: (request, response) => {
      if (exposition === undefined) answerNotFound(request, response)
      else exposition.getMetricsRequestHandler(request, response)
    },
    setHttpRoute,
    ignorePort: port => {
      ignoredPorts.add(port)
    },
    onDiagnostic: sink => diagnostics.onDiagnostic(sink),
    shutdown: timeoutMs => {
      stopMeasuringRedis()
      return shutdownAll([...parts.spans, ...parts.logs, ...parts.readers], timeoutMs, diagnostics)
    },
  }
}

/** With `OTEL_LOG_LEVEL` set the SDK's constructor installs a logger that writes to the console, over ours. */
function withoutOwnLogger<Result>(build: () => Result): Result {
  const level = process.env['OTEL_LOG_LEVEL']
  delete process.env['OTEL_LOG_LEVEL']
  try {
    return build()
  } finally {
    if (level !== undefined) process.env['OTEL_LOG_LEVEL'] = level
  }
}

function setHttpRoute(route: string): void {
  const metadata = getRPCMetadata(context.active())
  if (metadata?.type !== RPCType.HTTP) return
  // The metric and the span's name take it from here when the response ends; the span itself may be looked at before.
  metadata.route = route
  metadata.span.setAttribute(ATTR_HTTP_ROUTE, route)
}

function answerNotFound(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('no Prometheus exporter is configured\n')
}
