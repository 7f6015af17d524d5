import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { Server, ServerCredentials, type handleUnaryCall, type handleServerStreamingCall } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check'
import { hashApiKey, newApiKey } from '../../../src/cli/hash-key'
import { grpcurl, needsGrpcurl } from '../../support/grpcurl'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { until } from '../../support/until'

const protoPath = dirname(healthProto)
const SERVICE = 'shop.inventory.v1.Inventory'

interface Item {
  readonly name: string
  readonly amount: number
}

/** A server with reflection and health, as services in production have them. */
async function startShop(): Promise<{ server: Server; port: number; health: HealthImplementation }> {
  const definition = loadSync(join(__dirname, '../../../../test/fixtures/grpc/shop.proto'))
  const server = new Server()
  const reserve: handleUnaryCall<Item, Item> = ({ request }, respond) => respond(null, request)
  const watch: handleServerStreamingCall<Item, Item> = call => {
    for (let amount = 1; amount <= call.request.amount; amount++) call.write({ name: call.request.name, amount })
    call.end()
  }
  server.addService(definition[SERVICE] as never, { reserve, watch })
  new ReflectionService(definition).addToServer(server)
  const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' })
  health.addToServer(server)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { server, port, health }
}

describe('gRPC health checks', () => {
  it('eject a target whose service does not serve, and reinstate it', async () => {
    const [first, second] = [await startShop(), await startShop()]
    const pipeline = await startPipeline({
      upstreams: {
        shop: {
          targets: [first, second].map(({ port }) => `http://127.0.0.1:${port}`),
          protocol: 'h2c',
          healthCheck: { grpc: { service: SERVICE }, interval: '20ms', healthyAfter: 1, unhealthyAfter: 1 },
        },
      },
      routes: [{ name: 'shop', match: { path: '/' }, upstream: 'shop' }],
    })
    const targets = (): Pipeline['upstreams'] extends () => (infer U)[] ? U : never => pipeline.upstreams()[0]!
    const isHealthy = (index: number): boolean => targets().targets[index]!.healthy
    first.health.setStatus(SERVICE, 'NOT_SERVING')
    await until(() => !isHealthy(0), { what: 'the target is ejected' })
    assert.equal(isHealthy(1), true)
    assert.equal(targets().targets[0]!.healthCheck!.lastFailure, 'NOT_SERVING')
    first.health.setStatus(SERVICE, 'SERVING')
    await until(() => isHealthy(0), { what: 'the target is reinstated' })
    second.server.forceShutdown()
    await until(() => !isHealthy(1), { what: 'a target that is gone is ejected' })
    await pipeline.stop()
    first.server.forceShutdown()
  })

  it('name a service that the target does not have', async () => {
    const shop = await startShop()
    const pipeline = await startPipeline({
      upstreams: {
        shop: {
          targets: [`http://127.0.0.1:${shop.port}`],
          protocol: 'h2c',
          healthCheck: { grpc: { service: 'other.Service' }, interval: '20ms', unhealthyAfter: 1 },
        },
      },
      routes: [{ name: 'shop', match: { path: '/' }, upstream: 'shop' }],
    })
    const failure = (): string | null => pipeline.upstreams()[0]!.targets[0]!.healthCheck!.lastFailure
    await until(() => failure() !== null, { what: 'a check' })
    assert.equal(failure(), 'grpc-status NOT_FOUND')
    await pipeline.stop()
    shop.server.forceShutdown()
  })
})

describe('grpcurl through the gateway', function () {
  this.timeout(60_000)
  const key = newApiKey()
  let shop: Awaited<ReturnType<typeof startShop>>
  let pipeline: Pipeline

  before(needsGrpcurl)
  before(async () => {
    shop = await startShop()
    pipeline = await startPipeline({
      entrypoint: { http2: { cleartext: true } },
      consumers: { tester: { apiKeys: [hashApiKey(key)] } },
      upstreams: { shop: { targets: [`http://127.0.0.1:${shop.port}`], protocol: 'h2c' } },
      routes: [
        { name: 'shop', match: { path: `/${SERVICE}` }, upstream: 'shop', auth: { apiKey: {} } },
        { name: 'reflection', match: { path: '/' }, upstream: 'shop' },
      ],
    })
  })
  after(async () => {
    await pipeline?.stop()
    shop?.server.forceShutdown()
  })

  const ask = (...args: string[]): ReturnType<typeof grpcurl> =>
    grpcurl(
      '-plaintext',
      '-H',
      `x-api-key: ${key}`,
      ...args.slice(0, -1),
      `127.0.0.1:${pipeline.port}`,
      ...args.slice(-1),
    )

  it('lists services by reflection', async () => {
    const { code, output } = await ask('list')
    assert.equal(code, 0, output)
    assert.ok(output.split('\n').includes(SERVICE), output)
  })

  it('calls a method and reads a stream', async () => {
    const unary = await ask('-d', '{"name":"bolt","amount":3}', `${SERVICE}/Reserve`)
    assert.deepEqual(JSON.parse(unary.output), { name: 'bolt', amount: 3 })
    const stream = await ask('-d', '{"name":"bolt","amount":3}', `${SERVICE}/Watch`)
    assert.equal(stream.output.match(/"amount": \d/g)?.length, 3)
  })

  it('checks the health of a service', async () => {
    const proto = ['-import-path', protoPath, '-proto', 'health.proto']
    const { output } = await ask(...proto, '-d', JSON.stringify({ service: SERVICE }), 'grpc.health.v1.Health/Check')
    assert.match(output, /SERVING/)
  })

  it('understands the refusal of a missing key', async () => {
    const { code, output } = await grpcurl('-plaintext', '-d', '{}', `127.0.0.1:${pipeline.port}`, `${SERVICE}/Reserve`)
    assert.notEqual(code, 0)
    assert.match(output, /Code: Unauthenticated\s+Message: Credentials are missing or not valid/)
  })
})
