import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Settings } from '../config/types'
import type { Gateway } from '../gateway'
import type { RedisConnection } from '../redis/connection'
import type { Logger } from '../telemetry/logger'

/** Time to export the last spans, metrics and logs. */
const TELEMETRY_FLUSH_MS = 3_000
/** Time for aborted clients to read the end of their responses. */
const ABORTED_RESPONSES_MS = 200

export interface ShutdownOptions {
  readonly server: Server
  /** Redirects http to https. */
  readonly redirectServer: Server | undefined
  /** Undefined in a worker. */
  readonly opsServer: Server | undefined
  readonly gateway: Gateway
  readonly redis: RedisConnection | undefined
  readonly settings: Pick<Settings, 'shutdownTimeoutMs'>
  readonly log: Logger
  readonly flushTelemetry: (timeoutMs: number) => Promise<boolean>
  /** Called after the last request, before the telemetry ends. */
  readonly onServed?: (() => Promise<void>) | undefined
  /** Time during which requests are still served, so that load balancers notice the shutdown. */
  readonly delayMs: number
  /** In a worker: settles when the primary has handed over its last connection. */
  readonly lastConnection?: Promise<unknown> | undefined
}

/**
 * Shuts down a process that already reports not ready. Serves requests for `delayMs` with `Connection: close`, then stops
 * listening, then waits for exchanges in flight. Telemetry is flushed last, so that it covers the shutdown. Each step has a
 * time bound.
 */
export async function shutDown(options: ShutdownOptions): Promise<void> {
  const { server, redirectServer, opsServer, gateway, redis, settings, log, flushTelemetry, delayMs } = options
  if (delayMs > 0) await delay(delayMs)
  await options.lastConnection
  const servers = redirectServer === undefined ? [server] : [server, redirectServer]
  const closed = servers.map(one => closeWithin(one, settings.shutdownTimeoutMs, gateway.abortAll))
  if ((await Promise.all(closed)).includes(false)) log.warn({ event: 'shutdown' }, 'requests in flight were aborted')
  await gateway.close()
  redis?.close()
  await options.onServed?.()
  const isFlushed = await flushTelemetry(TELEMETRY_FLUSH_MS)
  if (!isFlushed) log.warn({ event: 'shutdown' }, 'the last telemetry could not be exported')
  opsServer?.close()
  opsServer?.closeAllConnections()
  log.info({ event: 'stopped' }, 'stopped')
}

/** Closes the server. @returns false if exchanges were still in flight after `timeoutMs` and were aborted */
export function closeWithin(server: Server, timeoutMs: number, abortAll: () => void): Promise<boolean> {
  return new Promise(resolve => {
    // A keep-alive connection that becomes idle now would keep the server open until its own timeout.
    const reaper = setInterval(() => server.closeIdleConnections(), 50)
    const settle = (finished: boolean): void => {
      clearInterval(reaper)
      clearTimeout(deadline)
      // The last responses emit 'close' a turn after their connections, and only then are logged and counted.
      setTimeout(() => resolve(finished), 1)
    }
    let finished = true
    const deadline = setTimeout(() => {
      finished = false
      abortAll()
      setTimeout(() => {
        server.closeAllConnections()
        settle(false)
      }, ABORTED_RESPONSES_MS)
    }, timeoutMs)
    server.close(() => settle(finished))
  })
}
