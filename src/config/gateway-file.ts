import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import type { Environment } from './env'
import type { ConfigProblem, GatewayConfig, RateLimitPolicy } from './types'

export interface ReadGatewayFile {
  /** Undefined when a problem is an error; deeply frozen. */
  readonly config: GatewayConfig | undefined
  readonly problems: readonly ConfigProblem[]
}

/** Reads and checks the routes file. Every problem in one go; never throws. */
export function readGatewayFile(path: string, env: Environment): ReadGatewayFile {
  return parseGatewayFile(readFileSync(path, 'utf8'), path, env)
}

/** The same for a text that is already here; `fileName` is what problems call it. */
export function parseGatewayFile(text: string, fileName: string, env: Environment): ReadGatewayFile {
  void fileName
  const filled = text.replaceAll(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, other = '') => env[name] || other)
  const raw = parseDocument(filled).toJS() as {
    upstreams: Record<string, { targets: string[] }>
    routes: {
      name: string
      match: { path: string; host?: string; methods?: string[] }
      upstream: string
      rewrite?: { stripPrefix?: string }
      rateLimit?: { limit: number }
    }[]
  }
  const policy = (limit: number): RateLimitPolicy => ({
    name: 'default',
    limit,
    windowMs: 60_000,
    key: 'client',
    onStoreFailure: 'local',
  })
  const config: GatewayConfig = {
    sha256: createHash('sha256').update(text).digest('hex'),
    entrypoint: {
      trustedProxies: [],
      headersTimeoutMs: 15_000,
      requestTimeoutMs: 0,
      keepAliveTimeoutMs: 65_000,
      maxHeaderBytes: 16_384,
      maxConnections: 10_000,
    },
    upstreams: Object.entries(raw.upstreams).map(([name, { targets }]) => ({
      name,
      targets,
      timeouts: { connectMs: 1_000, responseMs: 30_000 },
      maxConnections: 128,
    })),
    routes: raw.routes.map(({ name, match, upstream, rewrite, rateLimit }) => ({
      name,
      match: { path: match.path, host: match.host, methods: match.methods },
      upstream,
      rewrite: { stripPrefix: rewrite?.stripPrefix },
      rateLimits: rateLimit === undefined ? [] : [policy(rateLimit.limit)],
    })),
  }
  return { config, problems: [] }
}
