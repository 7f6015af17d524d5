import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Settings } from '../config/types'
import type { Gateway } from '../gateway'
import type { RedisConnection } from '../redis/connection'
import type { Logger } from '../telemetry/logger'

/** How long the last spans, metrics and logs may take to leave. */
const TELEMETRY_FLUSH_MS = 3_000
/** How long clients that were cut off may take to read that they were. */
const CUT_OFF_MS = 200

export interface ShutdownOptions {
  readonly server: Server
  readonly opsServer: Server
  readonly gateway: Gateway
  readonly redis: RedisConnection | undefined
  readonly settings: Pick<Settings, 'shutdownTimeoutMs'>
  readonly log: Logger
  readonly flushTelemetry: (timeoutMs: number) => Promise<boolean>
  /** How long requests are still taken, so that whoever sends them can learn that none should come. */
  readonly delayMs: number
}

/**
 * Ends the process' work, once it has said that it is not ready: goes on as ever for a while, with `Connection: close` on
 * every answer; takes nothing new; waits for what is in flight. Traffic first, telemetry last, so that what happened
 * meanwhile is told as well; each step has a bound.
 */
export async function shutDown(options: ShutdownOptions): Promise<void> {
  const { server, opsServer, gateway, redis, settings, log, flushTelemetry, delayMs } = options
  if (delayMs > 0) await delay(delayMs)
  const finished = await closeWithin(server, settings.shutdownTimeoutMs, gateway.abortAll)
  if (!finished) log.warn({ event: 'shutdown' }, 'requests in flight were aborted')
  await gateway.close()
  redis?.close()
  const told = await flushTelemetry(TELEMETRY_FLUSH_MS)
  if (!told) log.warn({ event: 'shutdown' }, 'the last telemetry could not be exported')
  opsServer.close()
  opsServer.closeAllConnections()
  log.info({ event: 'stopped' }, 'stopped')
}

/** @returns false when what was still in flight after `timeoutMs` had to be cut off. */
export function closeWithin(server: Server, timeoutMs: number, abortAll: () => void): Promise<boolean> {
  return new Promise(resolve => {
    // A keep-alive connection that falls idle now would otherwise keep the server open until its own timeout.
    const reaper = setInterval(() => server.closeIdleConnections(), 50)
    const settle = (finished: boolean): void => {
      clearInterval(reaper)
      clearTimeout(deadline)
      // The last responses close a turn after their connections, and are only then logged and counted.
      setTimeout(() => resolve(finished), 1)
    }
    let finished = true
    const deadline = setTimeout(() => {
      finished = false
      abortAll()
      setTimeout(() => {
        server.closeAllConnections()
        settle(false)
      }, CUT_OFF_MS)
    }, timeoutMs)
    server.close(() => settle(finished))
  })
}
