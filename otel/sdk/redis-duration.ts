import diagnostics from 'node:diagnostics_channel'
import { context, createContextKey, type Attributes, type Meter } from '@opentelemetry/api'

/** Boundaries of the semantic conventions for `db.client.operation.duration`, in seconds. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
/** Commands sent by ioredis and the health check for the connection itself; they are not measured. */
const NOISE = new Set(
  'auth client cluster hello info ping quit readonly readwrite role select sentinel subscribe'.split(' '),
)
/**
 * Context key set by callers whose Redis commands only test the connection, such as probes. The key is its description.
 */
const OWN_COMMANDS = createContextKey('myesi-gateway: own Redis commands')
/** Maximum distinct command names and error types; further ones count as `_OTHER`. */
const BOUND = 64

/** The part of ioredis' command event that is used here. */
interface CommandEvent {
  readonly command: string
  readonly serverAddress: string
  readonly serverPort: number | undefined
  readonly error?: unknown
  [started]?: number
}

const started = Symbol('started')

/**
 * Measures every command that ioredis (5.11 and later) writes to a connection; its own instrumentation creates spans
 * only. A command that fails before it is written, because there is no connection, is not a database operation and is
 * not counted.
 *
 * @returns a function that stops measuring
 */
export function measureRedis(meter: Meter): () => void {
  const duration = meter.createHistogram('db.client.operation.duration', {
    description: 'Duration of database client operations.',
    unit: 's',
    advice: { explicitBucketBoundaries: BOUNDARIES },
  })
  const seriesOf = seriesOfCommands()

  const start = (message: unknown): void => {
    const event = message as CommandEvent
    if (NOISE.has(event.command.toLowerCase()) || context.active().getValue(OWN_COMMANDS) === true) return
    event[started] = performance.now()
  }
  const end = (message: unknown): void => {
    const event = message as CommandEvent
    if (event[started] !== undefined) duration.record((performance.now() - event[started]) / 1000, seriesOf(event))
  }

  diagnostics.subscribe('tracing:ioredis:command:start', start)
  diagnostics.subscribe('tracing:ioredis:command:asyncEnd', end)
  return () => {
    diagnostics.unsubscribe('tracing:ioredis:command:start', start)
    diagnostics.unsubscribe('tracing:ioredis:command:asyncEnd', end)
  }
}

/** Maximum attribute objects that are kept; series are fewer unless servers come and go. */
const MAX_SERIES = 1_000

/** Finds the attributes of a command, kept and frozen so that their hash is remembered (`attribute-hashes.ts`). */
function seriesOfCommands(): (event: CommandEvent) => Attributes {
  const operationName = bounded(BOUND)
  const errorType = bounded(BOUND)
  const series = new Map<string, Attributes>()
  return event => {
    const { serverAddress, serverPort, error } = event
    const operation = operationName(event.command.toLowerCase())
    const type = error === undefined ? undefined : errorType(typeOf(error))
    const key = `${operation} ${serverAddress} ${serverPort} ${type}`
    let attributes = series.get(key)
    if (attributes === undefined) {
      attributes = Object.freeze({
        'db.system.name': 'redis',
        'db.operation.name': operation,
        'server.address': serverAddress,
        ...(serverPort === undefined ? {} : { 'server.port': serverPort }),
        ...(type === undefined ? {} : { 'error.type': type }),
      })
      if (series.size >= MAX_SERIES) series.clear()
      series.set(key, attributes)
    }
    return attributes
  }
}

/**
 * The error's type: Redis begins an error with a code in capitals (`NOSCRIPT`, `READONLY`, `OOM`); ioredis has classes.
 */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  if (error.name === 'ReplyError') return /^[A-Z]{2,24}(?= )/.exec(error.message)?.[0] ?? 'ReplyError'
  return error.message === 'Command timed out' ? 'timeout' : error.name
}

/**
 * Passes the first `limit` distinct names through: scripts may raise errors, and callers send commands, of any name.
 */
function bounded(limit: number): (name: string) => string {
  const known = new Set<string>()
  return name => {
    if (known.has(name)) return name
    if (known.size >= limit) return '_OTHER'
    known.add(name)
    return name
  }
}
