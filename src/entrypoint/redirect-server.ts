import type { Server } from 'node:http'
import type { EntrypointConfig } from '../config/types'
import { createEntrypointServer, applyLimits, type EntrypointServerOptions } from './server'

/** Share of `maxConnections` for the port that redirects: its connections are short. */
const SHARE = 10
/** How long an idle connection is kept: the client continues on another port. */
const KEEP_ALIVE_MS = 5_000

/** Creates the plain HTTP server that redirects to https, with the same limits as the gateway's port. Does not listen yet. */
export function createRedirectServer(options: Omit<EntrypointServerOptions, 'tls' | 'http2'>): Server {
  return createEntrypointServer({ ...options, config: redirectLimits(options.config) })
}

export function applyRedirectLimits(server: Server, config: EntrypointConfig): void {
  applyLimits(server, redirectLimits(config))
}

/** Limits of the gateway's port, when the other port takes its share of the connections. */
export function limitsBesideRedirects(config: EntrypointConfig): EntrypointConfig {
  if (config.tls?.redirectHttp === undefined) return config
  return { ...config, maxConnections: Math.max(1, config.maxConnections - shareOf(config)) }
}

function redirectLimits(config: EntrypointConfig): EntrypointConfig {
  return { ...config, maxConnections: shareOf(config), keepAliveTimeoutMs: KEEP_ALIVE_MS }
}

function shareOf({ maxConnections }: EntrypointConfig): number {
  return Math.ceil(maxConnections / SHARE)
}
