import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary } from '../../tools/stack/binaries'
import { askRedis } from './ask-redis'
import { freePort } from './free-port'
import { runProcess, startProcess, type TestProcess } from './start-process'
import { startRedis, type RunningRedis } from './start-redis'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

export interface RunningTopology {
  readonly url: string
  readonly servers: readonly RunningRedis[]
  /** By its own word another server has taken over from the first one. On a busy machine that can take several elections. */
  failedOver(): Promise<unknown>
  stop(): Promise<void>
}

export const MASTER = 'gateway-limits'
const FAILOVER = { timeoutMs: 60_000, intervalMs: 100 }

/** One master, one replica, three sentinels that replace a master after a second, and want `password` if there is one. */
export async function startSentinels(password?: string): Promise<RunningTopology> {
  const master = await startRedis()
  const replica = await startRedis(['--replicaof', '127.0.0.1', `${master.port}`])
  const settings = password === undefined ? [] : [`requirepass ${password}`]
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(master.port, { settings })))
  await Promise.all(sentinels.map(({ port }) => untilSentinelKnowsAll(port, password)))
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}`,
    servers: [master, replica],
    failedOver: () => Promise.all(sentinels.map(({ port }) => untilSentinelNames(replica.port, port, password))),
    stop: async () => {
      await Promise.all([...sentinels.map(({ process }) => process.kill()), master.kill(), replica.kill()])
    },
  }
}

/** A sentinel that knows a replica by name only would give up its first failover, and wait long before the next. */
async function untilSentinelKnowsAll(port: number, password = ''): Promise<void> {
  const valueOf = (state: readonly string[], name: string): string | undefined => state[state.indexOf(name) + 1]
  await until(
    () =>
      askRedis(`redis://:${password}@127.0.0.1:${port}`, async sentinel => {
        const master = (await sentinel.call('SENTINEL', 'MASTER', MASTER)) as string[]
        const [replica = []] = (await sentinel.call('SENTINEL', 'REPLICAS', MASTER)) as string[][]
        return valueOf(master, 'num-other-sentinels') === '2' && valueOf(replica, 'master-link-status') === 'ok'
      }),
    { what: 'the sentinels know each other and the replica', timeoutMs: 40_000, intervalMs: 100 },
  )
}

async function untilSentinelNames(masterPort: number, port: number, password = ''): Promise<void> {
  await until(
    () =>
      askRedis(`redis://:${password}@127.0.0.1:${port}`, async sentinel => {
        const [, named] = (await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)) as string[]
        return Number(named) === masterPort
      }),
    { what: 'every sentinel names the other server', ...FAILOVER },
  )
}

/** One sentinel; `settings` are more lines of its file. */
export async function startSentinel(
  masterPort: number,
  {
    settings: more = [],
    quorum = 2,
    tls = false,
  }: { settings?: readonly string[]; quorum?: number; tls?: boolean } = {},
): Promise<{ port: number; process: TestProcess }> {
  const port = await freePort()
  const file = join(temporaryFolder(), 'sentinel.conf')
  const settings = [
    ...(tls ? ['port 0', `tls-port ${port}`, 'tls-replication yes'] : [`port ${port}`]),
    ...more,
    'bind 127.0.0.1',
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  writeFileSync(file, `${settings.join('\n')}\n`)
  const { path } = await findBinary('redis-sentinel')
  const process = startProcess({ name: 'redis-sentinel', path, args: [file] })
  await process.waitForLine('readiness', line => line.includes('+monitor master'))
  return { port, process }
}

/** Three masters, each with one replica that takes over when it is gone for a second. */
export async function startCluster(): Promise<RunningTopology> {
  const servers = await Promise.all(
    Array.from({ length: 6 }, async () => {
      // A replica that could not be elected for long stays a candidate: its master is not coming back.
      const cluster = [
        '--cluster-enabled',
        'yes',
        '--cluster-node-timeout',
        '1000',
        '--cluster-replica-validity-factor',
        '0',
      ]
      // The default bus port is the port + 10000, which may be in use or too large.
      const bus = ['--cluster-port', `${await freePort()}`]
      return startRedis([...cluster, ...bus, '--repl-diskless-sync-delay', '0'])
    }),
  )
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`)
  const { path } = await findBinary('redis-cli')
  const args = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes']
  const created = await runProcess({ name: 'redis-cli', path, args }, 60_000)
  const { code } = await created.exited
  if (code !== 0) throw new Error(created.lines.join('\n'))
  await Promise.all(servers.map(({ url }) => untilClusterIsWhole(url)))
  return {
    url: `redis+cluster://${addresses.slice(0, 2).join(',')}`,
    servers,
    failedOver: () => Promise.all(servers.slice(1).map(({ url }) => untilClusterHasReplaced(url, servers[0]!.port))),
    stop: async () => {
      await Promise.all(servers.map(server => server.kill()))
    },
  }
}

async function untilClusterIsWhole(url: string): Promise<void> {
  await until(
    () =>
      askRedis(url, async node => {
        const nodes = String(await node.call('CLUSTER', 'NODES'))
        const info = String(await node.call('CLUSTER', 'INFO'))
        const replication = await node.info('replication')
        const linked = !replication.includes('role:slave') || replication.includes('master_link_status:up')
        return info.includes('cluster_state:ok') && nodes.match(/[ ,]slave /g)?.length === 3 && linked
      }),
    { what: 'the cluster is whole', timeoutMs: 40_000, intervalMs: 100 },
  )
}

async function untilClusterHasReplaced(url: string, port: number): Promise<void> {
  await until(
    () =>
      askRedis(url, async node => {
        const info = String(await node.call('CLUSTER', 'INFO'))
        const slots = JSON.stringify(await node.call('CLUSTER', 'SLOTS'))
        return info.includes('cluster_state:ok') && !slots.includes(`,${port},`)
      }),
    { what: 'the cluster is whole again', ...FAILOVER },
  )
}
