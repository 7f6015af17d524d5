import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { FILES_ON_DISK, LoadedFiles, type ConfigFiles, type FileContents } from './config-files'
import { crossChecks } from './cross-checks'
import type { Environment } from './env'
import { problemAt, problemsOf } from './findings'
import { checkHosts } from './host-checks'
import { hasErrors } from './problems'
import { readFileBounded, UnreadableFile } from './read-file'
import { checkScopes } from './scope-checks'
import { checkSelfTargets } from './self-target-checks'
import { qualified } from './subjects'
import { isPolicy, isRoutePolicy, type FileParts, type RegistryEntry } from '../policies/define-policy'
import { mountMiddleware } from '../policies/own/express'
import { loadMiddleware, loadPolicies, type LoadedPolicies } from '../policies/own/load-policies'
import { rememberPolicies } from '../policies/policies-of'
import { POLICIES, withOwnPolicies } from '../policies/registry'
import type { GatewayConfig, InheritedKeys, RouteConfig } from './gateway-config'
import { fileSchema, fileSchemaOf, type FileContent } from './schema'
import { parsedPart } from './parsed-names'
import type {
  AffinityConfig,
  ConfigProblem,
  ConsumerConfig,
  EntrypointConfig,
  EntrypointTlsConfig,
  HealthCheckConfig,
  UpstreamConfig,
} from './types'
import { isSource, isWritten } from './values/target-source'
import { upstreamSchema } from './upstream-schema'
import type { HostSent } from './values/host-sent'
import { digestOf } from './config-digest'
import type { Path } from './variables'
import { CIPHER_PROFILES } from './values/tls'
import { readYaml, type YamlSource } from './yaml-source'

const MAX_ROUNDS = 3

type PolicyConfigs = Omit<RouteConfig, 'name' | 'match' | 'upstream'>

export interface ReadGatewayFile {
  /** Undefined if a problem is an error; deeply frozen. */
  readonly config: GatewayConfig | undefined
  /** The file's content with `${NAME}` unreplaced; undefined if it could not be parsed. */
  readonly written?: unknown
  /** SHA-256 of the file and of what it includes, hexadecimal; undefined if the file could not be read. */
  readonly sha256?: string
  /** Paths of the included files and folders. */
  readonly included?: readonly string[]
  /** The modules of policies and middleware that a refused file names, readable or not: correcting one may make it valid. */
  readonly modules?: LoadedPolicies['files']
  /** What was read; undefined if the file was refused. */
  readonly content?: GatewayFileContent
  readonly problems: readonly ConfigProblem[]
}

/** What was read, with the text that problems point into. */
interface ParsedGatewayFile extends ReadGatewayFile {
  readonly source?: YamlSource
}

/** The bytes of the routes file and of the files that it names. */
export interface GatewayFileContent extends FileContents {
  readonly text: Uint8Array
}

/**
 * Reads and checks the routes file and the files that it names. Reports all problems; never throws, never blocks.
 *
 * @param known content that another process has read and checked: used instead of the files on disk
 */
export async function readGatewayFile(
  path: string,
  env: Environment,
  known?: GatewayFileContent,
): Promise<ReadGatewayFile> {
  let sha256: string | undefined
  const refuse = (problem: string, allowed?: string): ReadGatewayFile => ({
    config: undefined,
    problems: [{ where: path, problem, ...(allowed !== undefined && { allowed }) }],
    ...(sha256 !== undefined && { sha256 }),
  })
  try {
    const bytes = known?.text ?? (await readFileBounded(path))
    sha256 = createHash('sha256').update(bytes).digest('hex')
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const files = new LoadedFiles(known)
    const { entries, files: policyFiles, problems } = await ownPolicies(text, path, env)
    // Without the file's own policies, their keys in routes would all be unknown.
    if (problems.length > 0) return { config: undefined, problems, sha256, modules: policyFiles }
    let read = parseGatewayFile(text, path, env, entries, files)
    // Once for the included folders, once for the files in them, once for the certificates that these name.
    for (let round = 0; round < MAX_ROUNDS && (await files.load()); round++) {
      read = parseGatewayFile(text, path, env, entries, files)
    }
    const content = read.config && { text: bytes, ...files.contents() }
    const withOwn = await withMiddleware(read, path, entries, policyFiles)
    return { ...withOwn, sha256: read.sha256 ?? sha256, ...(withOwn.config && content && { content }) }
  } catch (error) {
    if (error instanceof UnreadableFile) {
      const { problem, allowed } = error.mistake
      return refuse(`${problem.startsWith('is ') ? 'this' : 'the file'} ${problem}`, allowed)
    }
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return refuse('there is no such file', 'the path of a gateway.yaml, as an argument or in GATEWAY_CONFIG')
    if (code === 'EACCES' || code === 'EPERM')
      return refuse('the file may not be read', 'a file that this user may read')
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return refuse('the file is not UTF-8', 'UTF-8 text')
    return refuse(`the file cannot be read: ${message}`, 'a file that can be read')
  }
}

/** Loads the Express middleware of the routes, and remembers with which policies the configuration is served. */
export async function withMiddleware(
  { source, ...read }: ParsedGatewayFile,
  path: string,
  entries: readonly RegistryEntry[],
  policyFiles: LoadedPolicies['files'],
): Promise<ReadGatewayFile> {
  const { config } = read
  if (config === undefined || source === undefined) return { ...read, modules: policyFiles }
  const named = config.routes.flatMap(({ express }, index) => (express === undefined ? [] : [{ express, index }]))
  if (named.length === 0) {
    rememberPolicies(config, { entries, files: policyFiles })
    return read
  }
  const paths = named.map(({ express }) => express)
  const { loaded, files, mistakes } = await loadMiddleware(paths, path)
  rememberPolicies(config, { entries: mountMiddleware(entries, loaded), files: [...policyFiles, ...files] })
  if (mistakes.length === 0) return read
  const problems = mistakes.map(({ index, ...mistake }) =>
    problemAt(['routes', named[index]?.index ?? 0, 'express'], mistake, source),
  )
  return {
    ...read,
    config: undefined,
    problems: [...read.problems, ...problems],
    modules: [...policyFiles, ...files],
  }
}

/** The policies that routes in this text may use: those of the registry, and those that the text names. */
async function ownPolicies(
  text: string,
  path: string,
  env: Environment,
): Promise<Pick<LoadedPolicies, 'entries' | 'files'> & { readonly problems: readonly ConfigProblem[] }> {
  const none = { entries: POLICIES, files: [], problems: [] }
  // Most files name no policies and need not be parsed twice.
  if (!/^["'{ ]*policies\b/m.test(text)) return none
  const { source } = readYaml(text, path, env)
  const named = source?.valueAt(['policies'])
  // The schema reports any other value.
  if (source === undefined || !Array.isArray(named) || !named.every(name => typeof name === 'string')) return none
  const { entries, files, mistakes } = await loadPolicies(named, path)
  const problems = mistakes.map(({ index, ...mistake }) => problemAt(['policies', index], mistake, source))
  return { entries: withOwnPolicies(entries), files, problems }
}

/**
 * Parses and checks a text that was read already.
 *
 * @param fileName the name in messages
 * @param entries the policies that routes may have
 * @param files the files that the text names
 */
export function parseGatewayFile(
  text: string,
  fileName: string,
  env: Environment,
  entries: readonly RegistryEntry[] = POLICIES,
  files: ConfigFiles = FILES_ON_DISK,
): ParsedGatewayFile {
  const policies = entries.filter(isRoutePolicy)
  const needUpstream = policies.filter(policy => policy.needsUpstream).map(({ name }) => name)
  const upstreamKeys = ['upstream', ...policies.filter(policy => policy.choosesUpstream).map(({ name }) => name)]
  const { source, problems: yamlProblems } = readYaml(text, fileName, env, { files, needUpstream, upstreamKeys })
  if (source === undefined) return { config: undefined, problems: yamlProblems }
  const { included } = source
  const sha256 = digestOf(Buffer.from(text), included, files)
  const schema: z.ZodType<FileContent> = entries === POLICIES ? fileSchema : (fileSchemaOf(entries) as never)
  const parsed = schema.safeParse(source.value)
  const shapeProblems = parsed.success ? [] : problemsOf(parsed.error, schema, source)
  const problems = inOrder(fileName, [
    ...yamlProblems,
    ...shapeProblems,
    ...crossChecks(source, entries, files),
    ...checkScopes(source),
    ...checkSelfTargets(source, env),
    ...checkHosts(source),
  ])
  if (!parsed.success || hasErrors(problems)) return { config: undefined, problems, sha256, included }
  const config = deepFreeze({ ...toConfig(parsed.data, sha256, entries, source), files })
  return { config, written: source.written, problems, sha256, included, source }
}

/** Sorts by position, the main file first. A mistake that several routes inherit is reported once, where it was written. */
function inOrder(mainFile: string, problems: readonly ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>()
  const placed = problems.flatMap(problem => {
    const [place, file = '', line = 0, column = 0] = /^(.*?):(\d+):(\d+)(?= |$)/.exec(problem.where) ?? []
    const same = `${place ?? problem.where} ${problem.problem}`
    if (place !== undefined && seen.has(same)) return []
    seen.add(same)
    return [{ problem, file: file === mainFile ? '' : file, position: Number(line) * 1e6 + Number(column) }]
  })
  placed.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.position - b.position))
  return placed.map(({ problem }) => problem)
}

function toConfig(
  { entrypoint, consumers, tokens, sharedLimits, slo, upstreams, routes }: FileContent,
  sha256: string,
  entries: readonly RegistryEntry[],
  source: YamlSource,
): Omit<GatewayConfig, 'files'> {
  const file: FileParts = {
    entrypoint,
    tokens,
    sharedLimits,
    slo,
    upstreamAt: (name, origin) => toUpstream([name, upstreamSchema.parse({ targets: [origin] })]),
  }
  return {
    sha256,
    entrypoint: { ...toEntrypoint(entrypoint), ...entrypointPolicies(entrypoint, file, entries) },
    consumers: Object.entries(consumers).map(consumer => toConsumer(consumer, Object.keys(tokens))),
    upstreams: Object.entries(upstreams).map(toUpstream),
    routes: routes.map(route => toRoute(route, file, entries)),
    inherited: {
      routes: inheritedKeys(
        routes.map(({ name }, index) => [name, ['routes', index]]),
        source,
      ),
      upstreams: inheritedKeys(
        Object.keys(upstreams).map(name => [name, ['upstreams', name]]),
        source,
      ),
    },
  }
}

function inheritedKeys(named: readonly (readonly [name: string, at: Path])[], source: YamlSource): InheritedKeys {
  return Object.fromEntries(
    named.flatMap(([name, at]) => {
      const origins = source.origins(at)
      return origins === undefined ? [] : [[name, Object.fromEntries(origins)]]
    }),
  )
}

function toEntrypoint(entrypoint: FileContent['entrypoint']): EntrypointConfig {
  const { responseBuffer, overload, accessLog, access, tls, http2, ...rest } = entrypoint
  // Policies read these three.
  const { maxBodySize: _size, telemetry: _telemetry, maintenance: _maintenance, ...written } = rest
  return {
    ...parsedPart(written, 'entrypoint'),
    ...(accessLog && { accessLog }),
    responseBuffer: parsedPart(responseBuffer, 'responseBuffer'),
    overload: parsedPart(overload, 'overload'),
    access,
    tls: tls && toEntrypointTls(tls),
    http2: parsedPart(http2, 'http2'),
    // By default one client gets at most 90 % of the connections. Rounded up, so that a small limit is not reduced.
    maxConnectionsPerClient: entrypoint.maxConnectionsPerClient ?? Math.ceil(entrypoint.maxConnections * 0.9),
  }
}

function toEntrypointTls(tls: NonNullable<FileContent['entrypoint']['tls']>): EntrypointTlsConfig {
  const { profile, ciphers, ...written } = tls
  return { ...written, ciphers: ciphers ?? CIPHER_PROFILES[profile] }
}

function toConsumer(
  [name, consumer]: [string, FileContent['consumers'][string]],
  tokens: readonly string[],
): ConsumerConfig {
  const subjects = consumer.subjects.flatMap(subject => qualified(subject, tokens) ?? [])
  return { ...consumer, name, subjects }
}

function toUpstream([name, upstream]: [string, FileContent['upstreams'][string]]): UpstreamConfig {
  const { targets, discovery: _discovery, without: _without, host, affinity, ...rest } = upstream
  const { timeouts, fairness, retries, circuitBreaker, ejection, healthCheck, ...written } = rest
  return {
    name,
    targets: targets.filter(isWritten),
    ...discoveryOf(upstream),
    ...(host !== 'target' && { host }),
    ...(affinity && { affinity: toAffinity(affinity, name) }),
    ...parsedPart(written, 'upstream'),
    timeouts: parsedPart(timeouts, 'timeouts'),
    fairness: parsedPart(fairness, 'fairness'),
    retries: retries && parsedPart(retries, 'retries'),
    circuitBreaker: circuitBreaker && parsedPart(circuitBreaker, 'circuitBreaker'),
    ejection: ejection.failures === 0 ? undefined : parsedPart(ejection, 'ejection'),
    healthCheck: healthCheck && toHealthCheck(healthCheck, host),
  }
}

function toAffinity(
  { cookie }: NonNullable<FileContent['upstreams'][string]['affinity']>,
  upstream: string,
): AffinityConfig {
  const { name = `gateway-target-${upstream}`, ttl, secret } = cookie
  return { name, ttlMs: ttl, secret }
}

function toHealthCheck(
  { path = '/', grpc, host, headers, ...written }: NonNullable<FileContent['upstreams'][string]['healthCheck']>,
  hostOfUpstream: HostSent,
): HealthCheckConfig {
  return {
    ...parsedPart(written, 'healthCheck'),
    path,
    ...(grpc && { grpc }),
    ...checkedHost(host ?? hostOfUpstream),
    ...(headers.length > 0 && { headers }),
  }
}

function discoveryOf({ targets, discovery }: FileContent['upstreams'][string]): Pick<UpstreamConfig, 'discovery'> {
  const sources = targets.filter(isSource)
  if (sources.length === 0) return {}
  const { resolvers, refresh: refreshMs, kubernetes } = discovery
  return { discovery: { sources, resolvers, refreshMs, ...(kubernetes && { kubernetes }) } }
}

/** The host of health checks: there is no client's host to pass on. */
function checkedHost(host: HostSent): { readonly host?: HostSent } {
  return host === 'target' || host === 'client' ? {} : { host }
}

/** The configuration of the policies under `entrypoint`, by name. */
function entrypointPolicies(written: object, file: FileParts, entries: readonly RegistryEntry[]): object {
  const policies = entries.filter(isPolicy).filter(({ under }) => under === 'entrypoint')
  return Object.fromEntries(
    policies.map(policy => [
      policy.name,
      policy.resolve((written as Mapping)[policy.name], file, { hasUpstream: false }),
    ]),
  )
}

type Mapping = Readonly<Record<string, unknown>>

/** Builds a route's configuration; each policy adds the parts of the file that it needs. */
function toRoute(
  { name, match, upstream, use: _use, without: _without, ...written }: FileContent['routes'][number],
  file: FileParts,
  entries: readonly RegistryEntry[],
): RouteConfig {
  const values: Mapping = written
  const choosing = entries.filter(entry => isRoutePolicy(entry) && entry.choosesUpstream)
  const isChosen = choosing.some(policy => values[policy.name] !== undefined)
  const place = { hasUpstream: upstream !== undefined || isChosen }
  const configs = entries
    .filter(isRoutePolicy)
    .map(policy => [policy.name, policy.resolve(values[policy.name], file, place)])
  return { name, match, upstream, ...(Object.fromEntries(configs) as PolicyConfigs) }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
