import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { apiKey, certificate, signedToken } from './credentials.ts'
import { findPeers, type PeerOptions } from './peers/find.ts'
import { helper, type ProcessSpec } from './processes.ts'
import { processesOf, type Batch, type Request, type Row } from './rows.ts'
import {
  STOCK,
  TELEMETRY_OFF,
  exporting,
  forwarder,
  gateway,
  oneRoute,
  row,
  type Environment,
  type Surroundings,
} from './subjects.ts'
import { redisServer, type Tree } from './trees.ts'

/** A group of rows that can be chosen on the command line. */
export interface Group {
  readonly title: string
  readonly batches: (tree: Tree, surroundings: Surroundings, peers: PeerOptions) => Promise<Batch[]> | Batch[]
}

/** Groups that measure CPU per request. Missing: WebSocket messages, several workers on several cores. */
export const GROUPS: Readonly<Record<string, Group>> = {
  ladder: { title: 'CPU per request by how much telemetry', batches: ladder },
  peers: { title: 'CPU per request beside other gateways, without telemetry and with theirs', batches: beside },
  limits: { title: 'CPU per request with rate limits, API keys, tokens', batches: limits },
  routes: { title: 'CPU per request with 1,000 routes', batches: routes },
  bodies: { title: 'CPU per request with 10 KiB up, 100 KiB and 1 MiB down', batches: bodies },
  connections: { title: 'CPU per request over 1 and over 256 connections', batches: connections },
  tls: { title: 'CPU per request over TLS', batches: tls },
  http2: { title: 'CPU per request over HTTP/2, and per unary gRPC call', batches: http2 },
}

export const FULL_1 = exporting(0.01)

/** The reference, and the same program in a second process as a row: that row's distance from 1 is the error. */
export function references(surroundings: Surroundings, env: Environment = {}): Pick<Batch, 'reference' | 'rows'> {
  return {
    reference: row('bare', 'Express + undici forwarder', forwarder('bare', surroundings, env)),
    rows: [row('bare-again', 'the forwarder against itself', forwarder('bare-again', surroundings, env))],
  }
}

function ours(name: string, label: string, process: ProcessSpec, others: Partial<Row> = {}): Row {
  return row(name, label, process, { isGateway: true, ...others })
}

export function offAndFull(tree: Tree, surroundings: Surroundings, configuration?: object): Row[] {
  return [
    ours('off', 'telemetry off', gateway('off', TELEMETRY_OFF, tree, surroundings, configuration)),
    ours('full-1', 'full telemetry, 1 % exported', gateway('full-1', FULL_1, tree, surroundings, configuration)),
  ]
}

function ladder(tree: Tree, surroundings: Surroundings): Batch[] {
  const step = (name: string, label: string, env: Environment, goal = ''): Row =>
    ours(name, label, gateway(name, env, tree, surroundings), { goal })
  const { reference, rows } = references(surroundings)
  return [
    {
      title: 'Telemetry',
      reference,
      base: 'off',
      rows: [
        ...rows,
        step('off', 'telemetry off', TELEMETRY_OFF, '1.10 × forwarder'),
        step('off-silent', 'telemetry off, no access log', { ...TELEMETRY_OFF, LOG_LEVEL: 'warn' }),
        step('full-1', 'full telemetry, 1 % exported', FULL_1, '1.25 × off'),
        step('full-100', 'full telemetry, 100 % exported', exporting(1), '1.35 × off'),
        step('stock-1', 'stock instrumentations, 1 %', { ...FULL_1, ...STOCK }),
        step('stock-100', 'stock instrumentations, 100 %', { ...exporting(1), ...STOCK }),
      ],
    },
  ]
}

async function beside(tree: Tree, surroundings: Surroundings, options: PeerOptions): Promise<Batch[]> {
  const peers = await findPeers(surroundings, options)
  const { reference, rows } = references(surroundings)
  const [off, full] = offAndFull(tree, surroundings) as [Row, Row]
  return [
    { title: 'Without telemetry', reference, rows: [...rows, off, full, ...peers.plain] },
    { title: 'With metrics, access log and 1 % of the traces', reference, rows: [...rows, full, ...peers.observed] },
  ]
}

async function limits(tree: Tree, surroundings: Surroundings): Promise<Batch[]> {
  const { folder, upstreamUrl } = surroundings
  const key = apiKey()
  const { token, jwks } = signedToken()
  const jwksFile = join(folder, 'jwks.json')
  writeFileSync(jwksFile, jwks)
  const limit = { limit: 1_000_000_000, window: '1h' } // counted but never reached
  const route = (name: string, others: object = {}): object => ({
    name,
    match: { path: `/${name}` },
    upstream: 'bench',
    ...others,
  })
  const configuration = {
    consumers: { acme: { apiKeys: [key.hash], subjects: ['app'] } },
    tokens: { sso: { issuer: 'https://issuer.example/', audience: 'bench', jwks: jwksFile } },
    upstreams: { bench: { targets: [upstreamUrl] } },
    routes: [
      route('plain'),
      route('limited', { rateLimit: limit }),
      route('key', { auth: { apiKey: {} } }),
      route('token', { auth: { jwt: { tokens: 'sso' } } }),
    ],
  }
  const redisPort = await freePort()
  const full = gateway('full-1', FULL_1, tree, surroundings, configuration)
  const redisEnv = { ...FULL_1, REDIS_URL: `redis://127.0.0.1:${redisPort}` }
  const withRedis = gateway('full-1-redis', redisEnv, tree, surroundings, configuration)
  const { reference, rows } = references(surroundings)
  const asks = (path: string, headers: Request['headers'] = {}, goal = ''): Partial<Row> => ({
    request: { path, headers },
    goal,
  })
  return [
    {
      title: 'Limits, API keys and tokens, on top of full telemetry',
      reference,
      base: 'full-1',
      beside: [await redisServer(redisPort)],
      rows: [
        ...rows,
        ours('full-1', 'full telemetry, 1 % exported', full),
        ours('memory', 'limit in memory', full, asks('/limited', {}, '1.1 × full')),
        ours('redis', 'limit in Redis', withRedis, asks('/limited', {}, 'full + 0.6')),
        ours('key', 'API key', full, asks('/key', { 'X-Api-Key': key.key }, '1.08 × full')),
        ours(
          'token',
          'JWT (RS256), always the same',
          full,
          asks('/token', { Authorization: `Bearer ${token}` }, '1.1 × full'),
        ),
      ],
    },
  ]
}

function routes(tree: Tree, surroundings: Surroundings): Batch[] {
  const thousand = Array.from({ length: 1_000 }, (_, index) => ({
    name: `route-${index}`,
    match: { path: `/service-${index}/items` },
    upstream: 'bench',
  }))
  const many = { upstreams: { bench: { targets: [surroundings.upstreamUrl] } }, routes: thousand }
  const { reference, rows } = references(surroundings)
  return [
    {
      title: 'A thousand routes',
      reference,
      base: 'full-1',
      rows: [
        ...rows,
        ours('full-1', 'one route', gateway('full-1', FULL_1, tree, surroundings)),
        ours('routes-1000', '1,000 routes', gateway('routes-1000', FULL_1, tree, surroundings, many), {
          request: { path: '/service-700/items' },
          goal: '1.03 × one',
        }),
      ],
    },
  ]
}

async function bodies(tree: Tree, surroundings: Surroundings, options: PeerOptions): Promise<Batch[]> {
  const { plain } = await findPeers(surroundings, { ...options, sources: options.sources ?? ['debian'] })
  const { reference, rows } = references(surroundings)
  const gateways = offAndFull(tree, surroundings, oneRoute(surroundings.upstreamUrl, '/'))
  const batch = (title: string, request: Partial<Request>, effort: number): Batch => ({
    title,
    request,
    effort,
    reference,
    rows: [...rows, ...gateways, ...plain],
  })
  return [
    batch('10 KiB up', { path: '/upload', bodyBytes: 10 * 1024 }, 2),
    batch('100 KiB down', { path: '/100k' }, 5),
    batch('1 MiB down', { path: '/1m' }, 20),
  ]
}

function connections(tree: Tree, surroundings: Surroundings): Batch[] {
  const { reference, rows } = references(surroundings)
  const batch = (title: string, connections: number): Batch => ({
    title,
    request: { connections },
    reference,
    rows: [...rows, ...offAndFull(tree, surroundings)],
  })
  return [batch('One connection', 1), batch('256 connections', 256)]
}

function tls(tree: Tree, surroundings: Surroundings): Batch[] {
  const { cert, key } = certificate(surroundings.folder)
  const { reference, rows } = references(surroundings, { BENCH_CERTIFICATE: cert, BENCH_KEY: key })
  const configuration = {
    entrypoint: { tls: { cert, key }, overload: { maxEventLoopDelay: '10s' } },
    ...oneRoute(surroundings.upstreamUrl),
  }
  return [
    {
      title: 'TLS from the client, keep-alive',
      request: { isTls: true },
      reference,
      rows: [...rows, ...offAndFull(tree, surroundings, configuration)],
    },
  ]
}

/** HTTP/2 with 32 streams on one connection beside HTTP/1.1 with 32 connections, through one gateway. */
async function http2(tree: Tree, surroundings: Surroundings): Promise<Batch[]> {
  const port = await freePort()
  const upstream = { ...helper('upstream-http2'), env: { BENCH_PORT: String(port) } }
  const configuration = {
    entrypoint: { http2: { cleartext: true }, overload: { maxEventLoopDelay: '10s' } },
    upstreams: {
      http1: { targets: [surroundings.upstreamUrl] },
      h2c: { targets: [`http://127.0.0.1:${port}`], protocol: 'h2c' },
    },
    routes: [
      { name: 'plain', match: { path: '/plain' }, upstream: 'http1' },
      { name: 'h2c', match: { path: '/h2c' }, upstream: 'h2c' },
      { name: 'grpc', match: { path: '/bench.Echo' }, upstream: 'h2c', grpc: { methods: ['bench.Echo/Say'] } },
    ],
  }
  const full = gateway('full-1', FULL_1, tree, surroundings, configuration)
  const { reference, rows } = references(surroundings)
  const h2 = (path: string, goal = ''): Partial<Row> => ({ request: { protocol: 'h2', path }, goal })
  return [
    {
      title: 'HTTP/2 with 32 streams on one connection, full telemetry, 1 % exported',
      reference,
      base: 'full-1',
      beside: [upstream],
      rows: [
        ...rows,
        ours('full-1', 'HTTP/1.1 with 32 connections', full),
        ours('h1-h2', 'HTTP/1.1, upstream with HTTP/2', full, { request: { path: '/h2c' } }),
        ours('h2-h1', 'HTTP/2', full, h2('/plain', '1.3 × HTTP/1.1')),
        ours('h2-h2', 'HTTP/2, upstream with HTTP/2', full, h2('/h2c')),
        ours('grpc', 'unary gRPC call', full, { request: { protocol: 'grpc', path: '/bench.Echo/Say' } }),
      ],
    },
  ]
}

/** Adds the same row of the other tree after each gateway row of the batch. */
export function besideOld(batch: Batch, old: Batch): Batch {
  const rows = batch.rows.flatMap(row => {
    const twin = row.isGateway ? old.rows.find(({ name }) => name === row.name) : undefined
    return twin === undefined ? [row] : [row, asOld(twin)]
  })
  return { ...batch, rows, beside: [...(batch.beside ?? []), ...(old.beside ?? [])] }
}

function asOld(row: Row): Row {
  const { process } = row
  return {
    ...row,
    name: `${row.name}@old`,
    label: `${row.label}, old`,
    process: {
      ...process,
      name: `${process.name}@old`,
      env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: `${process.env?.['OTEL_EXPORTER_OTLP_ENDPOINT']}@old` },
    },
    oldOf: row.name,
    goal: '',
  }
}

export function only(batch: Batch, names: readonly string[]): Batch {
  return { ...batch, rows: batch.rows.filter(({ name }) => names.includes(name)) }
}

/**
 * Splits the rows into parts with at most this many processes, each with the reference and the error row; pairs stay
 * together.
 */
export function inParts(batch: Batch, maxProcesses: number): Batch[] {
  const parts: Batch[] = []
  const [again, others] = [batch.rows.filter(isErrorRow), batch.rows.filter(row => !isErrorRow(row))]
  const units = others
    .filter(row => row.oldOf === undefined)
    .map(row => [row, ...others.filter(old => old.oldOf === row.name)])
  for (const unit of units) {
    const last = parts.at(-1)
    const grown = last && { ...last, rows: [...last.rows, ...unit] }
    if (grown && processesOf(grown).length <= maxProcesses) parts[parts.length - 1] = grown
    else parts.push({ ...batch, rows: [...again, ...unit] })
  }
  return parts.length === 0 ? [batch] : parts
}

function isErrorRow({ name }: Row): boolean {
  return name === 'bare-again'
}
