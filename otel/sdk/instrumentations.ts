import type { IncomingMessage, ServerResponse } from 'node:http'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import type { Instrumentation } from '@opentelemetry/instrumentation'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import type { TelemetrySettings } from './settings'

/** Removes the query, which may hold secrets that no list of names covers. An attribute without a value is not set. */
const WITHOUT_QUERY = { 'url.query': undefined }

/**
 * The instrumentations of the gateway with their limits. Everything else in auto-instrumentations-node stays off:
 * `router` beside `express` doubles the spans of a request, and `net`, `dns` and `fs` produce too many.
 *
 * @param ignoredPorts local ports whose requests are operations, not traffic; may grow later
 */
export function instrumentations(settings: TelemetrySettings, ignoredPorts: ReadonlySet<number>): Instrumentation[] {
  const auto = autoInstrumentations(
    settings.instrumentations.filter(name => name !== 'ioredis'),
    {
      '@opentelemetry/instrumentation-http': {
        ignoreIncomingRequestHook: request => isOperations(request, ignoredPorts),
        // Upstreams are called with undici. The remaining outgoing requests are those of the OTLP exporters, which must
        // not measure themselves.
        disableOutgoingRequestInstrumentation: true,
        startIncomingSpanHook: () => WITHOUT_QUERY,
        responseHook: (_span, response) => markClientAbort(response),
      },
      '@opentelemetry/instrumentation-express': {
        // Spans per layer double what a request costs; the route is found without them. (An enum of a package that only
        // auto-instrumentations-node depends on; these are its values.)
        ignoreLayersType: ['middleware', 'router', 'request_handler'] as never,
      },
      '@opentelemetry/instrumentation-undici': {
        // Health probes belong to no request: they are measured, but start no traces.
        requireParentforSpans: true,
        startSpanHook: ({ origin, path }) => ({ ...WITHOUT_QUERY, 'url.full': `${origin}${path.split('?', 1)[0]}` }),
      },
      '@opentelemetry/instrumentation-pino': {
        // Every line is parsed again to be sent, so this is on only with a log exporter.
        disableLogSending: settings.exporters.logs.length === 0,
      },
    },
  )
  return settings.instrumentations.includes('ioredis') ? [...auto, redisInstrumentation()] : auto
}

function redisInstrumentation(): Instrumentation {
  return new IORedisInstrumentation({
    // Commands outside a request (health pings, the connection's own) start no traces.
    requireParentSpan: true,
    // The keys of rate limits hold client addresses and identities, so only the command's name is recorded.
    dbStatementSerializer: (command, parameters) => `${command} [${parameters.length} arguments]`,
  })
}

/** Enables exactly the named instrumentations: the library reads that choice only from the environment. */
function autoInstrumentations(
  names: readonly string[],
  configs: Parameters<typeof getNodeAutoInstrumentations>[0],
): Instrumentation[] {
  // The library treats an empty list as no list and would load all of them.
  if (names.length === 0) return []
  const { OTEL_NODE_ENABLED_INSTRUMENTATIONS: enabled, OTEL_NODE_DISABLED_INSTRUMENTATIONS: disabled } = process.env
  process.env['OTEL_NODE_ENABLED_INSTRUMENTATIONS'] = names.join(',')
  delete process.env['OTEL_NODE_DISABLED_INSTRUMENTATIONS']
  try {
    return getNodeAutoInstrumentations(configs)
  } finally {
    restore('OTEL_NODE_ENABLED_INSTRUMENTATIONS', enabled)
    restore('OTEL_NODE_DISABLED_INSTRUMENTATIONS', disabled)
  }
}

function restore(variable: string, value: string | undefined): void {
  if (value === undefined) delete process.env[variable]
  else process.env[variable] = value
}

/**
 * Whether this is a scrape or any request to the operations port, which would count as traffic with a very short
 * duration.
 */
function isOperations(request: IncomingMessage, ignoredPorts: ReadonlySet<number>): boolean {
  const port = request.socket.localPort
  if (port !== undefined && ignoredPorts.has(port)) return true
  const url = request.url ?? ''
  return url === '/metrics' || url.startsWith('/metrics?')
}

/**
 * Sets status 499 on a response that the client aborted: the instrumentation would count it with the status that was
 * being sent, mostly 200, and client aborts would be invisible. The instrumentation listens for `close` after this
 * hook, so that span and metric get the changed status.
 */
function markClientAbort(response: unknown): void {
  if (!isServerResponse(response)) return
  response.on('close', () => {
    // 5xx: the gateway closed the connection after a fault and reported it. errored: the gateway called destroy(), with
    // or without an error.
    const ours = response.statusCode >= 500 || response.errored !== null
    if (!response.writableFinished && !ours) response.statusCode = 499
  })
}

/** The hook is also called with the response to an outgoing request. */
function isServerResponse(response: unknown): response is ServerResponse {
  return typeof response === 'object' && response !== null && 'writeHead' in response
}
