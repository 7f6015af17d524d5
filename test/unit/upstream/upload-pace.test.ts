import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError } from '../../../src/errors/gateway-error'
import { RequestBody } from '../../../src/upstream/request-body'
import { slowestPace, type SlowestPace } from '../../../src/upstream/upload-pace'
import { until } from '../../support/until'

const SLOWEST: SlowestPace = { bytes: 1_000, perMs: 150 }

describe('the body of a request', () => {
  const server = createServer()
  let stop: (() => void) | undefined

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(() => stop?.())
  after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  /** A request whose client sends so many bytes every 10 ms. */
  async function upload(
    headers: Record<string, string>,
    bytes: number,
    slowest: SlowestPace | undefined,
  ): Promise<{ body: RequestBody; error: () => unknown }> {
    const { port } = server.address() as AddressInfo
    const client = request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false })
    client.on('error', () => undefined)
    const timer = setInterval(() => client.write(Buffer.alloc(bytes)), 10)
    stop = () => {
      clearInterval(timer)
      client.destroy()
    }
    client.flushHeaders()
    const [incoming] = (await once(server, 'request')) as [IncomingMessage]
    let error: unknown
    const body = new RequestBody(incoming, undefined, slowest)
    body.on('error', thrown => (error = thrown))
    return { body, error: () => error }
  }

  const KNOWN = { 'Content-Length': '100000000' }
  const CHUNKED = { 'Transfer-Encoding': 'chunked' }

  for (const [framing, headers] of Object.entries({ 'of known length': KNOWN, 'in chunks': CHUNKED })) {
    it(`ends with a timeout of the request when it trickles: ${framing}`, async () => {
      const { body, error } = await upload(headers, 1, SLOWEST)
      body.resume()
      const thrown = await until(error, { what: 'it ends' })
      assert.ok(thrown instanceof GatewayError)
      assert.equal(thrown.reason, 'request_timeout')
    })
  }

  async function survives({ body, error }: { body: RequestBody; error: () => unknown }): Promise<void> {
    const started = performance.now()
    await until(() => performance.now() - started > 3 * SLOWEST.perMs, { what: 'three looks at it' })
    assert.deepEqual([error(), body.destroyed], [undefined, false])
  }

  it('may take as long as it wants at a decent pace', async () => {
    const running = await upload(KNOWN, 500, SLOWEST)
    running.body.resume()
    await survives(running)
  })

  it('may trickle where there is no bound', async () => {
    const running = await upload(CHUNKED, 1, slowestPace(0, SLOWEST.perMs))
    running.body.resume()
    await survives(running)
  })

  it('is not too slow while nobody takes what has come of it', async () => {
    await survives(await upload(KNOWN, 1, SLOWEST))
  })
})
