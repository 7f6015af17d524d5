import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pino from 'pino'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createAccessLog } from '../../src/observe/access-log'
import type { Exchange } from '../../src/exchange/exchange'
import { shownRoutes } from '../../src/operations/shown-route'
import { createAuthority } from '../support/certificates'
import { freePort } from '../support/free-port'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

describe('the access log of gateway.yaml', () => {
  let upstream: RunningUpstream

  before(async () => {
    upstream = await startUpstream((_request, response) => response.end('twelve bytes'))
  })
  after(() => upstream.stop())

  const linesOf = ({ logs }: Pipeline): Record<string, unknown>[] =>
    logs.filter(line => line['event'] === 'request' || line['event.name'] === 'request')

  /** Asks once for each path, and returns the lines. */
  async function linesAfter(entrypoint: object, route: object, paths: readonly string[]) {
    const pipeline = await startPipeline({ entrypoint, ...proxyTo(upstream.url, { route }) })
    const headers = { 'user-agent': 'test/1', referer: 'http://site.test/page?token=secret' }
    for (const path of paths) await (await fetch(pipeline.url + path, { headers })).text()
    await pipeline.ended(paths.length)
    await pipeline.stop()
    return linesOf(pipeline)
  }

  it('has the chosen fields in their order, and no other', async () => {
    const fields = ['host', 'user_agent', 'referer', 'bytes', 'attempts', 'target', 'protocol', 'scheme', 'status']
    const [line] = await linesAfter({ accessLog: { fields } }, {}, ['/app?q=1'])
    const { level, time, msg, ...rest } = line ?? {}
    assert.deepEqual([level, typeof time, msg], ['info', 'number', 'request'])
    assert.deepEqual(Object.keys(rest), ['event', ...fields])
    assert.deepEqual(rest, {
      event: 'request',
      host: '127.0.0.1',
      user_agent: 'test/1',
      referer: 'http://site.test/page',
      bytes: 12,
      attempts: 1,
      target: upstream.url,
      protocol: '1.1',
      scheme: 'http',
      status: 200,
    })
  })

  it('adds fields to those of the standard line with `default`', async () => {
    const [standard] = await linesAfter({}, {}, ['/app'])
    const [line] = await linesAfter({ accessLog: { fields: ['default', 'upstream_ms'] } }, {}, ['/app'])
    assert.deepEqual(new Set(Object.keys(line ?? {})), new Set([...Object.keys(standard ?? {}), 'upstream_ms']))
    const { upstream_ms: time, duration_ms: whole } = line as Record<string, number>
    assert.ok(time! > 0 && time! <= whole!)
  })

  it('has the names of the semantic conventions with semconv', async () => {
    const accessLog = { format: 'semconv', fields: ['default', 'host', 'user_agent', 'bytes'] }
    const [line] = await linesAfter({ accessLog }, {}, ['/app'])
    assert.equal(line?.['event.name'], 'request')
    assert.equal(line?.['http.request.method'], 'GET')
    assert.equal(line?.['url.path'], '/app')
    assert.equal(line?.['http.route'], '/app')
    assert.equal(line?.['http.response.status_code'], 200)
    assert.equal(line?.['gateway.outcome'], 'ok')
    assert.equal(line?.['client.address'], '127.0.0.1')
    assert.equal(line?.['server.address'], '127.0.0.1')
    assert.equal(line?.['user_agent.original'], 'test/1')
    assert.equal(line?.['http.response.body.size'], 12)
    assert.ok(!('method' in line) && !('path' in line))
  })

  it('says why a request failed, in both forms', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`
    for (const format of ['json', 'semconv']) {
      const accessLog = { format, sample: 0 }
      const pipeline = await startPipeline({ entrypoint: { accessLog }, ...proxyTo(dead) })
      await fetch(`${pipeline.url}/app`)
      await pipeline.ended(1)
      const [line] = linesOf(pipeline)
      assert.equal(line?.['level'], 'error')
      if (format === 'semconv') {
        assert.equal(line?.['error.type'], 'connect_refused')
        assert.match(String(line?.['exception.message']), /ECONNREFUSED/)
        assert.equal(line?.['gateway.upstream.target'], dead)
      } else assert.equal((line?.['error'] as { code: string } | undefined)?.code, 'ECONNREFUSED')
      await pipeline.stop()
    }
  })

  it('leaves out successes by `sample`, and nothing else', async () => {
    const lines = await linesAfter({ accessLog: { sample: 0 } }, {}, ['/app', '/app', '/nowhere'])
    assert.deepEqual(
      lines.map(line => line['reason']),
      ['no_route'],
    )
    const some = await linesAfter({ accessLog: { sample: 0.5 } }, {}, Array<string>(60).fill('/app'))
    assert.ok(some.length > 5 && some.length < 55, String(some.length))
    assert.ok(some.every(line => line['sample'] === 0.5))
  })

  it('is off for a route, on for the others, and the other way round', async () => {
    const off = await linesAfter({}, { accessLog: false }, ['/app', '/nowhere'])
    assert.deepEqual(
      off.map(line => line['path']),
      ['/nowhere'],
    )
    const on = await linesAfter({ accessLog: false }, { accessLog: true }, ['/app', '/nowhere'])
    assert.deepEqual(
      on.map(line => line['path']),
      ['/app'],
    )
  })

  it('is in the combined format, and no client can forge a line', () => {
    const lines: string[] = []
    const log = pino({ base: null }, { write: line => lines.push(line) })
    const exchange = {
      loggedBy: { isOff: false, format: 'combined', fields: undefined, sample: 1 },
      request: {
        method: 'GET',
        httpVersion: '1.1',
        headers: { 'user-agent': 'a "b"\n\\é', referer: 'http://x.test/?s=1' },
      },
      response: { statusCode: 304 },
      path: '/orders/1',
      statusCode: 304,
      outcome: 'ok',
      consumer: { name: 'acme' },
      clientAddress: '192.0.2.1',
      startedAt: 0,
    }
    createAccessLog(log)(exchange as unknown as Exchange)
    const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`
    const agent = String.raw`"a \\"b\\"\\x0a\\\\\\xc3\\xa9"`
    const pattern = `^192\\.0\\.2\\.1 - acme ${time} "GET /orders/1 HTTP/1\\.1" 304 0 "http://x\\.test/" ${agent}\n$`
    assert.match(lines[0] ?? '', new RegExp(pattern))
  })

  it('says the version of TLS and the size of request bodies', async () => {
    const folder = temporaryFolder()
    const { cert, key } = createAuthority('Test Authority').issue('localhost')
    writeFileSync(join(folder, 'cert.pem'), cert)
    writeFileSync(join(folder, 'key.pem'), key)
    const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    const entrypoint = { tls, accessLog: { fields: ['tls', 'request_bytes', 'protocol', 'peer'] } }
    const pipeline = await startPipeline({ entrypoint, ...proxyTo(upstream.url) })
    const { port } = pipeline.server.address() as AddressInfo
    const asked = request({ host: '127.0.0.1', port, path: '/app', method: 'POST', rejectUnauthorized: false })
    asked.end('four')
    const [response] = (await once(asked, 'response')) as [{ resume(): void }]
    response.resume()
    await pipeline.ended(1)
    const [line] = linesOf(pipeline)
    const { tls: version, request_bytes: bytes, protocol, peer } = line ?? {}
    assert.deepEqual([version, bytes, protocol, peer], ['TLSv1.3', 4, '1.1', '127.0.0.1'])
    await pipeline.stop()
  })

  it('is shown in /routes and by explain', () => {
    const accessLog = { format: 'semconv', fields: ['default', 'host'], sample: 0.1 }
    const file = proxyTo('http://127.0.0.1:1', { route: { accessLog } })
    const { config } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
    const [route] = config === undefined ? [] : shownRoutes(config)
    assert.match(JSON.stringify(route), /access log: semconv, default host, 10 % of successes/)
  })

  for (const [accessLog, problem] of [
    [{ format: 'xml' }, /"xml" is not known here.*json, semconv, combined/],
    [{ fields: ['host', 'user-agent'] }, /"user-agent" is not known here.*user_agent/s],
    [{ fields: [] }, /has nothing in it/],
    [{ sample: 2 }, /is more than all/],
    [{ lines: 1 }, /"lines" is not a key here.*format, fields, sample/],
    [{ format: 'combined', fields: ['host'] }, /"fields" has no effect/],
    ['maybe', /is neither true nor false|is not a map/],
  ] as const) {
    it(`is refused with its position: ${JSON.stringify(accessLog)}`, () => {
      const file = proxyTo('http://127.0.0.1:1', { route: { accessLog } })
      const { problems } = parseGatewayFile(JSON.stringify(file, null, 1), 'gateway.yaml', {})
      assert.match(problems.map(({ problem: text, allowed }) => `${text} ${allowed}`).join('\n'), problem)
      assert.match(problems[0]?.where ?? '', /^gateway\.yaml:\d+:\d+/)
    })
  }
})
