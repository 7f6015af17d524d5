import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { crossChecks } from './cross-checks'
import type { Environment } from './env'
import { problemsOf } from './findings'
import { hasErrors } from './problems'
import { qualified } from './subjects'
import { fileSchema, type FileContent } from './schema'
import type {
  AuthConfig,
  ConfigProblem,
  ConsumerConfig,
  CorsConfig,
  GatewayConfig,
  HeaderEditsConfig,
  RateLimitPolicy,
  RouteConfig,
  UpstreamConfig,
} from './types'
import { toFields } from './values/header'
import { readYaml } from './yaml-source'

export interface ReadGatewayFile {
  /** Undefined when a problem is an error; deeply frozen. */
  readonly config: GatewayConfig | undefined
  /** What the file says, with `${NAME}` where it says so; undefined when that is not known. */
  readonly written?: unknown
  readonly problems: readonly ConfigProblem[]
}

/** A few thousand routes; what is larger is another file, given by mistake. */
const MAX_FILE_BYTES = 1_048_576

/** Reads and checks the routes file. Every problem in one go; never throws. */
export function readGatewayFile(path: string, env: Environment): ReadGatewayFile {
  const refuse = (problem: string, allowed: string): ReadGatewayFile => ({
    config: undefined,
    problems: [{ where: path, problem, allowed }],
  })
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) return refuse('this is a directory', 'GATEWAY_CONFIG names a file, such as gateway.yaml')
    if (stats.size > MAX_FILE_BYTES) return refuse(`the file has ${stats.size} bytes`, `at most ${MAX_FILE_BYTES}`)
    return parseGatewayFile(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path)),
      path,
      env,
    )
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return refuse('there is no such file', 'the path of the routes file, in GATEWAY_CONFIG')
    if (code === 'EACCES' || code === 'EPERM')
      return refuse('the file may not be read', 'a file that this user may read')
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return refuse('the file is not UTF-8', 'UTF-8 text')
    return refuse(`the file cannot be read: ${message}`, 'a file that can be read')
  }
}

/** The same for a text that is already here; `fileName` is what problems call it. */
export function parseGatewayFile(text: string, fileName: string, env: Environment): ReadGatewayFile {
  const { source, problems: yamlProblems } = readYaml(text, fileName, env)
  if (source === undefined) return { config: undefined, problems: yamlProblems }
  const parsed = fileSchema.safeParse(source.value)
  const shapeProblems = parsed.success ? [] : problemsOf(parsed.error, fileSchema, source)
  const problems = inFileOrder([...yamlProblems, ...shapeProblems, ...crossChecks(source)])
  if (!parsed.success || hasErrors(problems)) return { config: undefined, problems }
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { config: deepFreeze(toConfig(parsed.data, sha256)), written: source.written, problems }
}

function inFileOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const position = ({ where }: ConfigProblem): number => {
    const [, line = 0, column = 0] = /:(\d+):(\d+)(?: |$)/.exec(where) ?? []
    return Number(line) * 1e6 + Number(column)
  }
  return problems.toSorted((a, b) => position(a) - position(b))
}

function toConfig({ entrypoint, consumers, tokens, upstreams, routes }: FileContent, sha256: string): GatewayConfig {
  return {
    sha256,
    entrypoint: {
      trustedProxies: entrypoint.trustedProxies,
      traceContext: entrypoint.traceContext,
      headersTimeoutMs: entrypoint.headersTimeout,
      requestTimeoutMs: entrypoint.requestTimeout,
      stallTimeoutMs: entrypoint.stallTimeout,
      keepAliveTimeoutMs: entrypoint.keepAliveTimeout,
      maxHeaderBytes: entrypoint.maxHeaderSize,
      maxHeaderFields: entrypoint.maxHeaderFields,
      maxUrlBytes: entrypoint.maxUrlLength,
      overload: {
        maxRequests: entrypoint.overload.maxRequests,
        maxEventLoopDelayMs: entrypoint.overload.maxEventLoopDelay,
      },
      access: entrypoint.access,
      tls: entrypoint.tls,
      maxConnections: entrypoint.maxConnections,
    },
    consumers: Object.entries(consumers).map(consumer => toConsumer(consumer, Object.keys(tokens))),
    upstreams: Object.entries(upstreams).map(toUpstream),
    routes: routes.map(route => toRoute(route, { entrypoint, tokens })),
  }
}

function toConsumer(
  [name, consumer]: [string, FileContent['consumers'][string]],
  tokens: readonly string[],
): ConsumerConfig {
  const { tier, scopes, apiKeys, subjects } = consumer
  return { name, tier, scopes, apiKeys, subjects: subjects.flatMap(subject => qualified(subject, tokens) ?? []) }
}

function toAuth(auth: FileContent['routes'][number]['auth'], tokens: FileContent['tokens']): AuthConfig | undefined {
  if (auth === undefined) return undefined
  const { apiKey, jwt, scopes } = auth
  if (jwt === undefined) return { apiKey, jwt, scopes }
  const { clockSkew, ...profile } = tokens[jwt.tokens] as FileContent['tokens'][string]
  return {
    apiKey,
    jwt: { tokens: { ...profile, name: jwt.tokens, clockSkewMs: clockSkew }, forward: jwt.forward },
    scopes,
  }
}

function toUpstream([name, upstream]: [string, FileContent['upstreams'][string]]): UpstreamConfig {
  return {
    name,
    targets: upstream.targets,
    balance: upstream.balance,
    hashKey: upstream.hashKey,
    timeouts: {
      connectMs: upstream.timeouts.connect,
      responseMs: upstream.timeouts.response,
      idleMs: upstream.timeouts.idle,
      totalMs: upstream.timeouts.total,
    },
    maxConnections: upstream.maxConnections,
    connectionLifetimeMs: upstream.connectionLifetime,
    tls: upstream.tls && {
      ca: upstream.tls.ca,
      cert: upstream.tls.cert,
      key: upstream.tls.key,
      serverName: upstream.tls.serverName,
    },
    retries: upstream.retries,
    circuitBreaker: upstream.circuitBreaker && {
      failures: upstream.circuitBreaker.failures,
      openForMs: upstream.circuitBreaker.openFor,
      on: upstream.circuitBreaker.on,
    },
    healthCheck: upstream.healthCheck && {
      path: upstream.healthCheck.path,
      intervalMs: upstream.healthCheck.interval,
      timeoutMs: upstream.healthCheck.timeout,
      healthyAfter: upstream.healthCheck.healthyAfter,
      unhealthyAfter: upstream.healthCheck.unhealthyAfter,
    },
    panicThreshold: upstream.panicThreshold,
  }
}

function toRoute(
  { name, match, upstream, rewrite, timeouts, retry, maxBodySize, rateLimit, ...route }: FileContent['routes'][number],
  { entrypoint, tokens }: Pick<FileContent, 'entrypoint' | 'tokens'>,
): RouteConfig {
  return {
    name,
    match: {
      path: match.path,
      exact: match.exact,
      host: match.host,
      methods: match.methods && [...new Set(match.methods)],
      headers: toFields(match.headers),
    },
    upstream,
    auth: toAuth(route.auth, tokens),
    redirect: route.redirect && { ...route.redirect.to, status: route.redirect.status },
    respond: route.respond && { ...route.respond, headers: toFields(route.respond.headers), body: route.respond.body },
    maintenance: (route.maintenance ?? entrypoint.maintenance) || undefined,
    rewrite: { stripPrefix: rewrite.stripPrefix, addPrefix: rewrite.addPrefix },
    requestHeaders: toHeaderEdits(route.requestHeaders),
    responseHeaders: toHeaderEdits(route.responseHeaders),
    timeouts: {
      ...(timeouts.response !== undefined && { responseMs: timeouts.response }),
      ...(timeouts.idle !== undefined && { idleMs: timeouts.idle }),
      ...(timeouts.total !== undefined && { totalMs: timeouts.total }),
    },
    retry,
    access: [entrypoint.access ?? [], route.access ?? []].flat(),
    cors: route.cors && toCors(route.cors),
    maxBodyBytes: maxBodySize ?? entrypoint.maxBodySize,
    webSocket: route.websocket && { idleTimeoutMs: route.websocket.idleTimeout },
    rateLimits: [rateLimit ?? []].flat().map(toPolicy),
  }
}

function toHeaderEdits(edits: FileContent['routes'][number]['requestHeaders']): HeaderEditsConfig | undefined {
  return edits && { set: toFields(edits.set), add: toFields(edits.add), remove: edits.remove }
}

function toCors(cors: NonNullable<FileContent['routes'][number]['cors']>): CorsConfig {
  return {
    origins: cors.origins,
    methods: cors.methods && [...new Set(cors.methods)],
    headers: cors.headers,
    exposeHeaders: cors.exposeHeaders,
    credentials: cors.credentials,
    maxAgeSeconds: cors.maxAge === undefined ? undefined : Math.floor(cors.maxAge / 1_000),
  }
}

function toPolicy({ window, ...policy }: Omit<RateLimitPolicy, 'windowMs'> & { window: number }): RateLimitPolicy {
  return { ...policy, windowMs: window }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
