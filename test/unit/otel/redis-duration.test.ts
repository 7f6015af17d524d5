import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { AggregationTemporality, type DataPoint, type Histogram } from '@opentelemetry/sdk-metrics'
import { measureRedis } from '../../../otel/sdk/redis-duration'

/** What ioredis publishes for one command. */
function publish(command: string, error?: unknown): void {
  const event = { command, serverAddress: '127.0.0.1', serverPort: 6379, ...(error === undefined ? {} : { error }) }
  diagnostics.channel('tracing:ioredis:command:start').publish(event)
  diagnostics.channel('tracing:ioredis:command:asyncEnd').publish(event)
}

describe('measuring Redis commands', () => {
  let provider: MeterProvider
  let exporter: InMemoryMetricExporter
  let stop: () => void

  beforeEach(() => {
    exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
    stop = measureRedis(provider.getMeter('test'))
  })

  afterEach(async () => {
    stop()
    await provider.shutdown()
  })

  async function points(): Promise<readonly DataPoint<Histogram>[]> {
    await provider.forceFlush()
    const metric = exporter.getMetrics().at(-1)?.scopeMetrics[0]?.metrics[0]
    return (metric?.dataPoints ?? []) as DataPoint<Histogram>[]
  }

  it('records the duration in seconds with the attributes of the conventions', async () => {
    publish('evalsha')
    const [point] = await points()
    assert.deepEqual(point?.attributes, {
      'db.system.name': 'redis',
      'db.operation.name': 'evalsha',
      'server.address': '127.0.0.1',
      'server.port': 6379,
    })
    assert.deepEqual(point.value.buckets.boundaries, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
    assert.equal(point.value.count, 1)
    assert.ok(point.value.sum! < 1)
  })

  it('leaves out what the connection says for itself', async () => {
    for (const command of ['hello', 'client', 'info', 'ping', 'auth', 'select']) publish(command)
    assert.deepEqual(await points(), [])
  })

  it('names errors by the code Redis begins them with, or by their class', async () => {
    const replyError = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })
    const classError = Object.assign(new Error('x'), { name: 'MaxRetriesPerRequestError' })
    publish('get', replyError('NOSCRIPT No matching script.'))
    publish('get', replyError('user_script:1: arbitrary text from a script'))
    publish('get', new Error('Command timed out'))
    publish('get', classError)
    publish('get', 'not an error')
    const types = (await points()).map(point => point.attributes['error.type'])
    assert.deepEqual(types, ['NOSCRIPT', 'ReplyError', 'timeout', 'MaxRetriesPerRequestError', '_OTHER'])
  })

  it('bounds the names of operations', async () => {
    for (let count = 0; count < 500; count++) publish(`command${count}`)
    const found = await points()
    assert.equal(found.length, 65)
    assert.equal(found.find(point => point.attributes['db.operation.name'] === '_OTHER')?.value.count, 436)
  })

  it('ignores a command that began before it listened', async () => {
    diagnostics.channel('tracing:ioredis:command:asyncEnd').publish({ command: 'get', serverAddress: 'x' })
    assert.deepEqual(await points(), [])
  })
})
