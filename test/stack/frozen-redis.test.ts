import assert from 'node:assert/strict'
import { redisExporterPlan } from '../../tools/stack/components'
import { untilReady } from '../../tools/stack/component'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { startProcess, type TestProcess } from '../support/start-process'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { readYaml } from '../monitoring/monitoring-files'

describe('a frozen Redis', function () {
  this.timeout(60_000)
  let redis: RunningRedis
  let exporter: TestProcess
  let metrics: string

  before(needs('redis-server', 'redis_exporter'))

  before(async () => {
    redis = await startRedis()
    const plan = await redisExporterPlan(await freePort(), redis.port)
    metrics = plan.address
    exporter = startProcess(plan)
    await untilReady(exporter, plan)
  })

  after(async () => {
    await exporter.stop()
    await redis.stop()
  })

  it('is reported as down within the scrape timeout, and as up once it answers', async () => {
    assert.equal(await redisUp(), '1')
    redis.freeze()
    assert.equal(await redisUp(), '0')
    redis.thaw()
    assert.equal(await redisUp(), '1')
  })

  /** Asks as Prometheus does: a response after the timeout counts as none. */
  async function redisUp(): Promise<string | undefined> {
    const { global } = readYaml('monitoring/prometheus.yml') as { global: { scrape_timeout: string } }
    const signal = AbortSignal.timeout(Number.parseInt(global.scrape_timeout, 10) * 1_000)
    const text = await (await fetch(metrics, { signal })).text()
    return /^redis_up (\d)$/m.exec(text)?.[1]
  }
})
