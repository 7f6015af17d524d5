import type { IncomingMessage, ServerResponse } from 'node:http'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import type { Instrumentation } from '@opentelemetry/instrumentation'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import type { TelemetrySettings } from './settings'

/** A query may hold secrets that no list of names knows: it is not told at all. An attribute without a value is not set. */
const WITHOUT_QUERY = { 'url.query': undefined }

/**
 * The instrumentations of the gateway, each told what it must not do. Everything else in auto-instrumentations-node stays
 * off: `router` beside `express` doubles the spans of a request, `net`, `dns` and `fs` bury them.
 *
 * @param ignoredPorts local ports whose requests are operations, not traffic; may grow later
 */
export function instrumentations(settings: TelemetrySettings, ignoredPorts: ReadonlySet<number>): Instrumentation[] {
  const auto = autoInstrumentations(
    settings.instrumentations.filter(name => name !== 'ioredis'),
    {
      '@opentelemetry/instrumentation-http': {
        ignoreIncomingRequestHook: request => isOperations(request, ignoredPorts),
        // Upstreams are called with undici; what is left are the OTLP exporters, which must not measure themselves.
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
        // Every line is parsed again to be sent: only where somebody receives it.
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
    // The keys of rate limits hold client addresses and identities: the command's name says enough.
    dbStatementSerializer: (command, parameters) => `${command} [${parameters.length} arguments]`,
  })
}

/** Exactly the named ones: the library takes that choice from the environment only. */
function autoInstrumentations(
  names: readonly string[],
  configs: Parameters<typeof getNodeAutoInstrumentations>[0],
): Instrumentation[] {
  // It would take an empty list for no list, and load all of them.
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

/** A scrape, or anything on the operations port: it would count as traffic, and as very fast traffic at that. */
function isOperations(request: IncomingMessage, ignoredPorts: ReadonlySet<number>): boolean {
  const port = request.socket.localPort
  if (port !== undefined && ignoredPorts.has(port)) return true
  const url = request.url ?? ''
  return url === '/metrics' || url.startsWith('/metrics?')
}

/**
 * A response that ended before it was finished, and not by our own doing, is 499: the instrumentation would count it with
 * the status that was on its way, mostly 200, and nobody would see that clients give up. It listens for `close` after this
 * hook, so that span and metric get the changed status.
 */
function markClientAbort(response: unknown): void {
  if (!isServerResponse(response)) return
  response.on('close', () => {
    // 5xx: the gateway cut the connection after a fault and said so. errored: it called destroy(), with an error or without.
    const ours = response.statusCode >= 500 || response.errored !== null
    if (!response.writableFinished && !ours) response.statusCode = 499
  })
}

/** The hook is also called with what an outgoing request got back. */
function isServerResponse(response: unknown): response is ServerResponse {
  return typeof response === 'object' && response !== null && 'writeHead' in response
}
