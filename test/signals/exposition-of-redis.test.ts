import assert from 'node:assert/strict'
import { needs } from '../support/needs'
import { parseExposition } from '../support/exposition'
import { OtlpReceiver } from '../support/otlp-receiver'
import { startInstrumented, type InstrumentedProgram } from '../support/start-instrumented'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { until } from '../support/until'

describe('signals of Redis commands', function () {
  // Each test starts a program, which takes seconds on a busy machine.
  this.timeout(60_000)

  before(needs('redis-server'))

  let redis: RunningRedis
  let receiver: OtlpReceiver
  let program: InstrumentedProgram

  beforeEach(async () => {
    redis = await startRedis()
    receiver = await OtlpReceiver.start()
    program = await startInstrumented({
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
      OTEL_BSP_SCHEDULE_DELAY: '50',
    })
  })

  afterEach(async () => {
    await program.process.kill()
    await receiver.stop()
    await redis.stop()
  })

  it('are a span under the request and a duration each, without keys and without pings', async () => {
    const { url, scrape } = program
    const answer = await (await fetch(`${url}/redis`)).text()
    assert.match(answer, /NOSCRIPT/)
    await until(() => receiver.spans.length >= 3, { what: 'three spans' })
    const server = receiver.spans.find(span => span.kind === 2)
    const commands = receiver.spans.filter(span => span.kind === 3)
    assert.deepEqual(commands.map(span => span.name.toLowerCase()).sort(), ['evalsha', 'set'])
    for (const span of commands) {
      assert.deepEqual([span.traceId, span.parentSpanId], [server?.traceId, server?.spanId])
      assert.equal(span.attributes['db.system.name'], 'redis')
    }
    assert.doesNotMatch(JSON.stringify(commands), /203\.0\.113\.7/)

    const families = parseExposition((await scrape({ accept: 'application/openmetrics-text' })).text, 'openmetrics')
    const duration = families.get('db_client_operation_duration_seconds')
    const counts = duration?.samples.filter(sample => sample.name.endsWith('_count')) ?? []
    assert.deepEqual(
      counts.map(({ labels, value }) => [
        labels['db_operation_name'],
        labels['error_type'],
        labels['server_port'],
        value,
      ]),
      [
        ['set', undefined, String(redis.port), 1],
        ['evalsha', 'NOSCRIPT', String(redis.port), 1],
      ],
    )
  })
})
