import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { askRedis } from '../support/ask-redis'
import { freePort } from '../support/free-port'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'
import type { Scenario } from './scenario'

const SLOTS = 16_384

/** Redis servers that no gateway uses: what is wrong with them disturbs no other scenario. */
export interface RedisBench {
  readonly servers: readonly RunningRedis[]
  readonly scenarios: readonly Scenario[]
  /** Those whose alert silences others: in an act of their own. */
  readonly silencing: readonly Scenario[]
}

export async function startRedisBench(): Promise<RedisBench> {
  const replica = await startRedis(['--replicaof', '127.0.0.1', `${await freePort()}`])
  const memory = ['--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-lru']
  const shared = await startRedis([...memory, '--enable-protected-configs', 'yes'])
  const node = await startRedis(['--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`])
  await askRedis(node.url, client => client.call('cluster', 'addslotsrange', '0', `${SLOTS - 1}`))
  return {
    servers: [replica, shared, node],
    scenarios: [
      {
        alert: 'RedisReplicationBroken',
        cause: 'a replica whose primary does not run',
        fromStart: true,
        provoke: async () => async () =>
          void (await askRedis(replica.url, client => client.call('replicaof', 'no', 'one'))),
      },
      {
        alert: 'RedisEvicting',
        cause: 'more keys than maxmemory has room for, with allkeys-lru',
        provoke: async () => {
          const fill = async (): Promise<void> => {
            const value = 'x'.repeat(100_000)
            await askRedis(shared.url, async client => {
              for (let i = 0; i < 60; i++) await client.set(`filler:${i}`, value)
            })
          }
          await fill()
          // A second time, so that the counter has grown between two scrapes.
          const timer = setInterval(() => void fill().catch(() => undefined), 1_000)
          return async () => {
            clearInterval(timer)
          }
        },
      },
      {
        alert: 'RedisClientsBlocked',
        cause: '25 workers wait for a queue that nothing fills',
        provoke: async () => {
          const workers = Array.from({ length: 25 }, () => {
            const socket = connect(shared.port, '127.0.0.1')
            socket.on('error', () => undefined)
            socket.write('BLPOP jobs 0\r\n')
            return socket
          })
          return async () => {
            for (const worker of workers) worker.destroy()
          }
        },
      },
    ],
    silencing: [
      {
        alert: 'RedisPersistenceFailing',
        cause: 'the folder of the snapshots has gone',
        provoke: async () => {
          rmSync(shared.folder, { recursive: true })
          await snapshot(shared, 'err')
          return async () => {
            await askRedis(shared.url, client => client.config('SET', 'dir', temporaryFolder()))
            await snapshot(shared, 'ok')
          }
        },
      },
      {
        alert: 'RedisClusterBroken',
        cause: 'a slot of the cluster has no owner',
        provoke: async () => {
          await askRedis(node.url, client => client.call('cluster', 'delslots', '0'))
          return async () => void (await askRedis(node.url, client => client.call('cluster', 'addslots', '0')))
        },
      },
    ],
  }
}

async function snapshot({ url }: RunningRedis, status: 'ok' | 'err'): Promise<void> {
  await askRedis(url, async client => {
    await client.bgsave().catch(() => undefined)
    const isSaved = async (): Promise<boolean> =>
      (await client.info('persistence')).includes(`rdb_last_bgsave_status:${status}`)
    await until(isSaved, { what: `a snapshot: ${status}` })
  })
}
