import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeDemoUpstream, createDemoUpstream } from '../../../../tools/demo/upstream'
import { openRaw, rawExchange } from '../../../support/raw-http'
import { until } from '../../../support/until'

describe('the demo upstream', () => {
  let server: Server
  let port: number
  let url: string

  beforeEach(async () => {
    server = createDemoUpstream().listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
    url = `http://127.0.0.1:${port}`
  })

  afterEach(() => closeDemoUpstream(server, 100))

  for (const status of [200, 204, 304, 404, 503]) {
    it(`answers ${status} when asked for it`, async () => {
      assert.equal((await fetch(`${url}/status/${status}`)).status, status)
    })
  }

  for (const path of ['/status/99', '/status/x', '/delay/-1', '/delay/60001', '/stream?chunks=1001', '/bytes/1e9']) {
    it(`refuses ${path}`, async () => {
      const response = await fetch(url + path)
      assert.equal(response.status, 400)
      assert.match(await response.text(), /expected /)
    })
  }

  it('answers late', async () => {
    const started = performance.now()
    const response = await fetch(`${url}/delay/120`)
    assert.deepEqual(await response.json(), { delayed_ms: 120 })
    // Timers may fire up to a millisecond early.
    assert.ok(performance.now() - started >= 119)
  })

  it('streams one chunk at a time', async () => {
    const response = await fetch(`${url}/stream?chunks=3&interval=50`)
    const text = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    const { value: first = '' } = await text.read()
    assert.match(first, /^chunk 1 of 3\n/)
    assert.ok(!first.includes('chunk 3'), 'the first part arrives before the last is sent')
    let rest = ''
    for (let part = await text.read(); !part.done; part = await text.read()) rest += part.value
    assert.equal(first + rest, 'chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n')
  })

  it('sends server-sent events', async () => {
    const response = await fetch(`${url}/sse?events=2&interval=10`)
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.equal(
      await response.text(),
      'id: 1\nevent: tick\ndata: {"tick":1,"of":2}\n\nid: 2\nevent: tick\ndata: {"tick":2,"of":2}\n\n',
    )
  })

  it('echoes what arrived', async () => {
    const response = await fetch(`${url}/echo/deep?x=1`, { method: 'PUT', body: 'hello', headers: { 'x-test': 'yes' } })
    const { method, url: seen, headers, body } = (await response.json()) as Record<string, unknown>
    const sha256 = createHash('sha256').update('hello').digest('hex')
    assert.deepEqual(
      { method, seen, body },
      { method: 'PUT', seen: '/echo/deep?x=1', body: { bytes: 5, sha256, text: 'hello' } },
    )
    assert.equal((headers as Record<string, string>)['x-test'], 'yes')
  })

  it('echoes a long body by its checksum alone', async () => {
    const long = 'x'.repeat(65 * 1024)
    const { body } = (await (await fetch(`${url}/echo`, { method: 'POST', body: long })).json()) as { body: unknown }
    assert.deepEqual(body, { bytes: long.length, sha256: createHash('sha256').update(long).digest('hex') })
  })

  it('answers any other path with 200', async () => {
    const response = await fetch(`${url}/api/orders`)
    assert.equal(response.status, 200)
    assert.equal(((await response.json()) as { url: string }).url, '/api/orders')
  })

  it('sends as many bytes as asked', async () => {
    assert.equal((await (await fetch(`${url}/bytes/200001`)).arrayBuffer()).byteLength, 200_001)
  })

  it('fails always at rate 1 and never at rate 0', async () => {
    assert.equal((await fetch(`${url}/fail?rate=1&status=502`)).status, 502)
    assert.equal((await fetch(`${url}/fail?rate=0`)).status, 200)
  })

  it('resets the connection', async () => {
    const connection = await openRaw(port)
    const failed = once(connection.socket, 'error')
    connection.send('GET /reset HTTP/1.1\r\nHost: x\r\n\r\n')
    const [error] = (await failed) as [NodeJS.ErrnoException]
    assert.equal(error.code, 'ECONNRESET')
  })

  it('survives targets that are no paths', async () => {
    assert.match(await rawExchange(port, 'GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200 /)
    assert.match(
      await rawExchange(port, 'GET http://%%% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 200 /,
    )
  })

  it('stops a stream when its client leaves', async () => {
    const connection = await openRaw(port)
    connection.send('GET /stream?chunks=1000&interval=1000 HTTP/1.1\r\nHost: x\r\n\r\n')
    await connection.waitFor('chunk 1 of 1000')
    connection.destroy()
    const open = async (): Promise<number> =>
      new Promise((done, fail) => server.getConnections((e, n) => (e ? fail(e) : done(n))))
    await until(async () => (await open()) === 0, { what: 'the connection is closed' })
  })

  it('does not wait for a stream without end when it is stopped', async () => {
    const connection = await openRaw(port)
    connection.send('GET /sse?events=1000&interval=60000 HTTP/1.1\r\nHost: x\r\n\r\n')
    await connection.waitFor('"tick":1')
    await closeDemoUpstream(server, 50)
    await connection.closed()
  })
})
