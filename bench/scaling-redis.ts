/**
 * CPU time of Redis for one limit decision, by `node bench/scaling-redis.ts`. docs/scaling.md has the figures.
 *
 * Redis counts its own CPU time (`INFO cpu`), so other programs of a busy machine change the figure less than they would change a rate.
 */
import { Redis } from 'ioredis'
import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { ours, redisServer } from './trees.ts'
import { median } from './statistics.ts'

const { TAKE } = ours('src/policies/rate-limit/redis-scripts.js') as { TAKE: string }

const DECISIONS = 40_000
const ROUNDS = 5
const CLIENTS = 10_000
/** As many as a gateway writes in one turn of its event loop under load. */
const BATCHES = [1, 32] as const

async function cpuSeconds(redis: Redis): Promise<number> {
  const text = await redis.info('cpu')
  const value = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1])
  return value('used_cpu_sys') + value('used_cpu_user')
}

const port = await freePort()
const { command, args } = await redisServer(port)
if (command === undefined) throw new Error('no redis-server')
const server: ChildProcess = spawn(command, args ?? [], { stdio: 'ignore' })
const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 100 })
redis.on('error', () => {})
try {
  for (let i = 0; redis.status !== 'ready' && i < 100; i++) await delay(100)
  const sha = (await redis.script('LOAD', TAKE)) as string
  for (const [what, policies] of [
    ['one fixed window', ['fixed-window']],
    ['GCRA', ['gcra']],
    ['two policies', ['fixed-window', 'gcra']],
  ] as const) {
    for (const batch of BATCHES) {
      const rounds: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const before = await cpuSeconds(redis)
        for (let done = 0; done < DECISIONS; done += batch) {
          const pipeline = redis.pipeline()
          for (let i = 0; i < batch; i++) {
            const keys = policies.map(policy => `${policy}:{${(done + i) % CLIENTS}}`)
            pipeline.evalsha(sha, keys.length, ...keys, ...policies.flatMap(policy => [policy, 1000, 60_000, 1, 1]))
          }
          await pipeline.exec()
        }
        rounds.push(((await cpuSeconds(redis)) - before) * (1e6 / DECISIONS))
      }
      process.stdout.write(`${what}, ${batch} per write: ${median(rounds).toFixed(1)} µs of CPU for each decision\n`)
    }
  }
} finally {
  redis.disconnect()
  server.kill()
}
