import assert from 'node:assert/strict'
import { status as code, type Client } from '@grpc/grpc-js'
import { sampleValue } from '../support/exposition'
import { callUnary, grpcClient, startGrpcService, type GrpcService } from '../support/grpc-service'
import { listTraces, openTrace, scrape } from '../support/ops-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { until } from '../support/until'

describe('gRPC telemetry', () => {
  let service: GrpcService
  let gateway: RunningGateway
  let client: Client

  before(async () => {
    service = await startGrpcService()
    gateway = await startGateway({
      config: JSON.stringify({
        entrypoint: { http2: { cleartext: true } },
        upstreams: { app: { targets: [service.url], protocol: 'h2c' } },
        routes: [
          {
            name: 'echo',
            match: { path: '/test.Echo' },
            upstream: 'app',
            grpc: { methods: ['test.Echo/Unary'] },
          },
        ],
      }),
    })
    client = grpcClient(gateway.port)
  })
  after(async () => {
    client.close()
    await gateway.stop()
    await service.stop()
  })

  const calls = async (labels: Record<string, string>): Promise<number | undefined> =>
    sampleValue(await scrape(gateway.opsUrl), 'rpc_server_call_duration_seconds_count', {
      rpc_system_name: 'grpc',
      ...labels,
    })

  it('has one series for each configured method and status, and one for all other methods', async () => {
    for (let i = 0; i < 3; i++) assert.equal((await callUnary(client, 'x')).error, null)
    for (const path of ['/test.Echo/A', '/test.Echo/B', '/test.Echo/C']) await callUnary(client, 'x', { path })
    await until(async () => (await calls({ rpc_method: 'test.Echo/Unary', rpc_status_code: 'OK' })) === 3, {
      what: 'three calls of the method',
    })
    const labels = { rpc_method: '_OTHER', rpc_status_code: 'UNIMPLEMENTED', error_type: 'UNIMPLEMENTED' }
    await until(async () => (await calls(labels)) === 3, { what: 'three calls of others' })
    const family = (await scrape(gateway.opsUrl)).get('rpc_server_call_duration_seconds')
    assert.doesNotMatch(JSON.stringify(family), /test\.Echo\/[ABC]"/)
  })

  it('counts a failure of the service as a fault and keeps its trace with the status', async () => {
    service.handlers.unary = (_call, respond) => respond({ code: code.DATA_LOSS, details: 'gone' })
    await callUnary(client, 'x')
    await until(
      async () =>
        sampleValue(await scrape(gateway.opsUrl), 'gateway_requests_total', {
          http_route: '/test.Echo',
          gateway_upstream_name: 'app',
          gateway_outcome: 'fault',
          gateway_reason: 'grpc_status',
        }) === 4,
      { what: 'the fault, after three of methods that are not there' },
    )
    const spans = await until(
      async () => {
        for (const { traceId } of await listTraces(gateway.opsUrl)) {
          const found = (await openTrace(gateway.opsUrl, traceId)) ?? []
          if (found.some(({ attributes }) => attributes['rpc.status_code'] === 'DATA_LOSS')) return found
        }
        return undefined
      },
      { what: 'the trace' },
    )
    const server = spans.find(({ kind }) => kind === 2)!
    assert.equal(server.attributes['rpc.system.name'], 'grpc')
    assert.equal(server.attributes['rpc.method'], 'test.Echo/Unary')
    assert.equal(server.attributes['rpc.status_code'], 'DATA_LOSS')
    assert.equal(server.attributes['error.type'], 'grpc_status')
    const call = spans.find(({ kind }) => kind === 3)!
    assert.deepEqual([call.attributes['rpc.status_code'], call.attributes['error.type']], ['DATA_LOSS', 'DATA_LOSS'])
  })

  it('names the original method of a call that shares its series', async () => {
    await callUnary(client, 'x', { path: '/test.Echo/Unheard' })
    await until(
      async () => {
        for (const { traceId } of await listTraces(gateway.opsUrl)) {
          const spans = (await openTrace(gateway.opsUrl, traceId)) ?? []
          const server = spans.find(({ attributes }) => attributes['rpc.method_original'] === 'test.Echo/Unheard')
          if (server !== undefined) return server.attributes['rpc.method'] === '_OTHER'
        }
        return false
      },
      { what: 'the span' },
    )
  })
})
