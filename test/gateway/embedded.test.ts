import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createGateway, definePolicy, z } from '../../src/index'
import { send } from '../support/send'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

describe('a gateway embedded in another program', () => {
  let upstream: RunningUpstream
  const answer = definePolicy({
    name: 'acme-answer',
    schema: z.string(),
    create: body => ({ onRequest: context => context.respond({ status: 200, body }) }),
  })

  beforeEach(async () => {
    upstream = await startUpstream((_request, response) => response.end('from the upstream'))
  })
  afterEach(() => upstream.stop())

  async function listen(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  it('serves requests on its own server and on a server of the program, until it is closed', async () => {
    const gateway = await createGateway({ config: proxyTo(upstream.url), logLevel: 'silent' })
    const own = await listen(gateway.server)
    const other = createServer((request, response) => gateway.handle(request, response))
    const port = await listen(other)
    assert.equal((await send(own, '/app')).text, 'from the upstream')
    assert.equal((await send(port, '/app')).text, 'from the upstream')
    assert.equal((await send(port, '/nowhere')).status, 404)
    assert.equal(gateway.inFlight(), 0)
    await gateway.close(1_000)
    await gateway.close(1_000)
    assert.equal(gateway.server.listening, false)
    other.close()
    other.closeAllConnections()
  })

  it('accepts policies, and applies a new configuration completely or not at all', async () => {
    const config = proxyTo(upstream.url, { route: { 'acme-answer': 'from the policy' } })
    await using gateway = await createGateway({ config, policies: [answer], logLevel: 'silent' })
    const port = await listen(gateway.server)
    assert.equal((await send(port, '/app')).text, 'from the policy')
    await gateway.reload(proxyTo(upstream.url, { route: { 'acme-answer': 'changed' } }))
    assert.equal((await send(port, '/app')).text, 'changed')
    await assert.rejects(gateway.reload(proxyTo(upstream.url, { route: { 'acme-answer': 5 } })), /acme-answer/)
    assert.equal((await send(port, '/app')).text, 'changed')
  })

  it('reads a gateway.yaml, and reports all of its problems', async () => {
    const file = join(temporaryFolder(), 'gateway.yaml')
    writeFileSync(file, JSON.stringify(proxyTo(upstream.url)))
    await using gateway = await createGateway({ config: file, logLevel: 'silent' })
    const port = await listen(gateway.server)
    assert.equal((await send(port, '/app')).status, 200)
    writeFileSync(file, '{ "upstreams": {}, "routes": 1 }')
    await assert.rejects(createGateway({ config: file }), /upstreams[^]*routes/)
  })

  it('leaves nothing at the process, whatever the number of gateways that were opened and closed', async () => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    const before = listenersOfProcess()
    process.on('warning', note)
    try {
      const open = async (): ReturnType<typeof createGateway> =>
        createGateway({ config: proxyTo(upstream.url), logLevel: 'silent' })
      for (let i = 0; i < 15; i++) await (await open()).close(0)
      const together = await Promise.all(Array.from({ length: 15 }, open))
      await Promise.all(together.map(gateway => gateway.close(0)))
      // Node emits warnings in a later tick.
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.removeListener('warning', note)
    }
    assert.deepEqual(warnings, [])
    assert.deepEqual(listenersOfProcess(), before)
  })
})

/** The number of listeners of each event. */
function listenersOfProcess(): Record<string, number> {
  return Object.fromEntries(process.eventNames().map(event => [String(event), process.listenerCount(event)]))
}
