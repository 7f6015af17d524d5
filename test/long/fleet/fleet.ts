import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary } from '../../../tools/stack/binaries'
import { COLLECTOR_AGENT_CONFIG, COLLECTOR_CONFIG } from '../../../tools/stack/collector'
import { GATEWAYS_BY_NAME, copyMonitoring } from '../../../tools/stack/monitoring-copy'
import { askRedis } from '../../support/ask-redis'
import { JSON_ENCODING, startOtlpSink, type OtlpSink } from '../../support/otlp-sink'
import { shortened } from '../../support/shortened'
import { runProcess } from '../../support/start-process'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { temporaryFolder } from '../../support/temporary-folder'
import { until } from '../../support/until'
import type { Machine, Network } from './network'
import {
  INCIDENTS_TOKEN,
  Collector,
  Gateway,
  RedisNode,
  collectorPath,
  incidentsOn,
  prometheusOn,
  type Program,
} from './programs'

/** By which every duration of the shipped monitoring files is divided: a scrape every 0.6 s. */
export const FACTOR = 25
export const REPLICAS = 3
/** No process listens there: an address of a program that this fleet does not have. */
const ABSENT = '127.0.0.1:9'

/** Three gateways with everything that they share, each program on a machine of its own. */
export interface Fleet {
  readonly network: Network
  readonly gateways: readonly [Gateway, Gateway, Gateway]
  /** The machines of the gateways, in the same order. */
  readonly machines: readonly [Machine, Machine, Machine]
  /** Gateways one and three send to the first, gateway two to the second. */
  readonly agents: readonly Collector[]
  readonly samplers: readonly Collector[]
  /** What each sampling Collector kept. */
  readonly sinks: readonly [OtlpSink, OtlpSink]
  /** Three masters, then a replica of each. */
  readonly redis: readonly RedisNode[]
  readonly prometheus: Program
  readonly prometheusUrl: string
  readonly incidentsUrl: string
  /** Fails requests below /orders, answers all others. */
  readonly upstream: RunningUpstream
  readonly config: string
  /** Tells Prometheus which gateways there are. */
  discover(gateways: readonly Gateway[]): void
}

export async function startFleet(network: Network): Promise<Fleet> {
  const { front, back } = network
  const upstream = await startUpstream(
    (request, response) => {
      if (request.url?.startsWith('/orders') === true) response.statusCode = 503
      response.end('answered')
    },
    { host: front },
  )
  const sinks = [await startOtlpSink(back), await startOtlpSink(back)] as const
  const redis = await startRedisCluster(network)

  const path = await collectorPath()
  const samplers = sinks.map((sink, index) => {
    const settings = {
      TRACES_EXPORTERS: '[otlp_http/vendor]',
      VENDOR_OTLP_ENDPOINT: sink.url,
      TAIL_BASELINE_PERCENT: '0',
      TAIL_DECISION_WAIT: '3s',
    }
    const machine = network.add(`sampler${index + 1}`, ['back'])
    return { machine, program: new Collector(machine, path, COLLECTOR_CONFIG, settings, [JSON_ENCODING]) }
  })
  const hostnames = JSON.stringify(samplers.map(({ machine }) => `${machine.address('back')}:4317`))
  const resolver = `resolver: {dns: null, static: {hostnames: ${hostnames}}}`
  const overlays = ['by_trace', 'by_sender'].map(name => `exporters::load_balancing/${name}::${resolver}`)
  const agents = [1, 2].map(index => {
    const machine = network.add(`agent${index}`, ['back'])
    return { machine, program: new Collector(machine, path, COLLECTOR_AGENT_CONFIG, {}, overlays) }
  })

  const machines = [1, 2, 3].map(index => network.add(`gw${index}`, ['front', 'back']))
  const config = configuration(network, upstream.url, machines)
  const gateways = machines.map((machine, index) => {
    const agent = agents[index % 2]!.machine
    return new Gateway(machine, config, {
      REPLICAS: `${REPLICAS}`,
      REDIS_URL: `redis+cluster://${redis.map(({ host }) => `${host}:6379`).join(',')}`,
      SHUTDOWN_DELAY_MS: '1000',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${agent.address('back')}:4318`,
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_TRACES_SAMPLER: 'always_off',
      TRACES_KEEP_PER_SECOND: '1000',
    })
  })

  const watch = network.add('watch', ['back'])
  const targets = join(temporaryFolder(), 'gateways.json')
  const discover: Fleet['discover'] = found => {
    writeFileSync(targets, JSON.stringify([{ targets: found.map(({ instance }) => instance) }]))
  }
  discover([])
  const folder = temporaryFolder()
  copyMonitoring({
    folder,
    replacements: {
      [GATEWAYS_BY_NAME]: `file_sd_configs: [{ files: ['${targets}'], refresh_interval: 5s }]`,
      'redis-exporter:9121': ABSENT,
      'alertmanager:9093': ABSENT,
      'incidents:9095': '127.0.0.1:9095',
    },
    transform: text => shortened(withTokenOfIncidents(text), FACTOR),
  })
  const prometheus = await prometheusOn(watch, folder)
  const prometheusUrl = `http://${watch.address('back')}:9090`
  const incidents = incidentsOn(watch, prometheusUrl)

  await Promise.all([...samplers, ...agents].map(async ({ program }) => program.start()))
  await Promise.all([prometheus.start(), incidents.start()])
  await Promise.all(gateways.map(async gateway => gateway.start()))
  return {
    network,
    gateways: triple(gateways),
    machines: triple(machines),
    agents: agents.map(({ program }) => program),
    samplers: samplers.map(({ program }) => program),
    sinks,
    redis,
    prometheus,
    prometheusUrl,
    incidentsUrl: `http://${watch.address('back')}:9095`,
    upstream,
    config,
    discover,
  }
}

/** One file for all replicas. `/via/N` reaches the upstream through replica N. */
function configuration({ front, back }: Network, upstream: string, machines: readonly Machine[]): string {
  const others = machines.map((machine, index) => [`gw${index + 1}`, `http://${machine.address('back')}:8000`] as const)
  return JSON.stringify({
    // The test's own process is the proxy in front: it says which client a request is from.
    entrypoint: {
      // A dozen programs share the cores of one machine: a gateway would shed load that is not its own.
      overload: { maxEventLoopDelay: '0s' },
      trustedProxies: [front, back, ...machines.map(machine => machine.address('back'))],
    },
    upstreams: {
      app: { targets: [upstream] },
      ...Object.fromEntries(others.map(([name, target]) => [name, { targets: [target] }])),
    },
    routes: [
      { name: 'app', match: { path: '/app' }, upstream: 'app', rateLimit: { limit: 1_000_000, window: '1d' } },
      { name: 'orders', match: { path: '/orders' }, upstream: 'app' },
      { name: 'window', match: { path: '/window' }, upstream: 'app', rateLimit: { limit: 60, window: '1d' } },
      {
        name: 'several',
        match: { path: '/several' },
        upstream: 'app',
        rateLimit: [
          { name: 'evenly', limit: 60, window: '1d', algorithm: 'gcra' },
          { name: 'daily', limit: 1_000, window: '1d' },
        ],
      },
      {
        name: 'short',
        match: { path: '/short' },
        upstream: 'app',
        rateLimit: { limit: 6, window: '8s', legacyHeaders: true },
      },
      {
        name: 'short-evenly',
        match: { path: '/short-evenly' },
        upstream: 'app',
        rateLimit: { limit: 6, window: '48s', algorithm: 'gcra' },
      },
      // Alerts are by route: each case that waits for one has its own.
      ...['broken', 'broken-later'].map(name => ({
        name,
        match: { path: `/${name}` },
        upstream: 'app',
        rewrite: { path: '/orders' },
      })),
      ...others.map(([name], index) => ({
        name: `via-${name}`,
        match: { path: `/via/${index + 1}` },
        upstream: name,
        rewrite: { path: '/orders' },
      })),
    ],
  })
}

async function startRedisCluster(network: Network): Promise<RedisNode[]> {
  const { path } = await findBinary('redis-server')
  const nodes = [1, 2, 3, 4, 5, 6].map(index => new RedisNode(network.add(`redis${index}`, ['back']), path))
  await Promise.all(nodes.map(async node => node.start()))
  const cli = await findBinary('redis-cli')
  const addresses = nodes.map(({ host }) => `${host}:6379`)
  const args = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes']
  const created = await runProcess({ name: 'redis-cli', path: cli.path, args }, 60_000)
  if ((await created.exited).code !== 0) throw created.failure('could not create the cluster')
  await untilClusterIsWhole(nodes)
  return nodes
}

/** By the word of every node, all slots are served and each master has its replica. */
export async function untilClusterIsWhole(nodes: readonly RedisNode[]): Promise<void> {
  const isWhole = async ({ url }: RedisNode): Promise<boolean> =>
    askRedis(url, async node => {
      const [info, known] = [String(await node.call('CLUSTER', 'INFO')), String(await node.call('CLUSTER', 'NODES'))]
      const replication = await node.info('replication')
      const isLinked = replication.includes('role:slave')
        ? replication.includes('master_link_status:up')
        : replication.includes('connected_slaves:1')
      // A node that has just returned may be known as a master without slots for a moment.
      const replicas = known.match(/[ ,]slave /g)?.length
      return info.includes('cluster_slots_ok:16384') && !known.includes('fail') && replicas === 3 && isLinked
    })
  await until(async () => (await Promise.all(nodes.map(isWhole))).every(Boolean), {
    what: 'the cluster is whole',
    timeoutMs: 60_000,
    intervalMs: 100,
  })
}

/** The master of a client's counts, and its replica, by the word of the cluster. */
export async function shardOf(
  nodes: readonly RedisNode[],
  client: string,
): Promise<{ readonly master: RedisNode; readonly replica: RedisNode }> {
  const { url } = nodes.find(({ process }) => process.exit === undefined)!
  const ask = async (): Promise<{ master: RedisNode; replica: RedisNode } | undefined> =>
    askRedis(url, async node => {
      const slot = Number(await node.call('CLUSTER', 'KEYSLOT', `{${client}}`))
      const ranges = (await node.call('CLUSTER', 'SLOTS')) as [number, number, ...[string, number][]][]
      const [, , ...hosts] = ranges.find(([from, to]) => slot >= from && slot <= to) ?? [0, 0]
      const [master, replica] = hosts.map(([host]) => nodes.find(one => one.host === host))
      return master && replica && { master, replica }
    })
  // A replica is listed once the node that is asked has heard how far it is.
  return until(ask, { what: 'master and replica of a slot', timeoutMs: 30_000, intervalMs: 100 })
}

/** Prometheus posts alerts with the token of the incident service. */
function withTokenOfIncidents(text: string): string {
  return text.replace(
    '    - timeout: 1s\n',
    `    - timeout: 1s\n      authorization: { credentials: ${INCIDENTS_TOKEN} }\n`,
  )
}

function triple<T>(list: readonly T[]): readonly [T, T, T] {
  const [one, two, three] = list
  if (one === undefined || two === undefined || three === undefined) throw new Error('not three')
  return [one, two, three]
}
