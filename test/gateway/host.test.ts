import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createAuthority } from '../support/certificates'
import { send } from '../support/send'
import { startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('the Host that an upstream receives', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const route = (path: string, more: object = {}): object => ({
    name: path.slice(1),
    match: { path },
    upstream: 'app',
    ...more,
  })

  async function start(ofUpstream: object, routes: readonly object[], entrypoint: object = {}): Promise<void> {
    const file: GatewayFile = {
      entrypoint,
      upstreams: { app: { targets: [upstream.url], ...ofUpstream } },
      routes,
    }
    pipeline = await startPipeline(file)
  }

  async function seen(path: string, headers: Record<string, string> = {}): Promise<IncomingHttpHeaders> {
    const answer = await send(pipeline.port, { path, headers: { Host: 'shop.example:81', ...headers } })
    assert.equal(answer.status, 200)
    return upstream.requests.at(-1)?.headers ?? {}
  }

  it('is the target’s own by default, and otherwise the one of the route', async () => {
    await start({}, [
      route('/target'),
      route('/client', { host: 'client' }),
      route('/name', { host: 'Orders.Internal:8080' }),
    ])
    const own = new URL(upstream.url).host
    assert.equal((await seen('/target')).host, own)
    assert.equal((await seen('/client')).host, 'shop.example:81')
    assert.equal((await seen('/name')).host, 'orders.internal:8080')
    for (const { rawHeaders } of upstream.requests) {
      assert.equal(rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length, 1)
    }
  })

  it('is the one of the upstream’s entry where the route sets none', async () => {
    await start({ host: 'client' }, [route('/a'), route('/b', { host: 'target' })])
    assert.equal((await seen('/a')).host, 'shop.example:81')
    assert.equal((await seen('/b')).host, new URL(upstream.url).host)
  })

  it('is also sent in health checks, with their own fields', async () => {
    const healthCheck = { path: '/up', interval: '20ms', host: 'checked.example', headers: { 'x-probe': 'gateway' } }
    await start({ host: 'client', healthCheck }, [route('/a')])
    await until(() => upstream.requests.some(({ url }) => url === '/up'), { what: 'a check' })
    const { headers } = upstream.requests.find(({ url }) => url === '/up')!
    assert.deepEqual([headers.host, headers['x-probe']], ['checked.example', 'gateway'])
  })

  it('is replaced by the client’s host in redirects and cookies', async () => {
    const own = new URL(upstream.url)
    upstream.handler = ({ headers: { host }, url }, response) => {
      response.writeHead(302, {
        Location: url?.endsWith('elsewhere') ? 'https://other.example/a' : `http://${host}/login?next=http://${host}/a`,
        'Content-Location': `https://${host}/a`,
        'Set-Cookie': [
          `a=1; Domain=${host?.replace(/:\d+$/, '')}; Path=/`,
          'b=2; Path=/; Domain=.other.example',
          'c=http://web.internal/',
        ],
      })
      response.end()
    }
    await start(
      {},
      [route('/target'), route('/client', { host: 'client' }), route('/name', { host: 'web.internal' })],
      {
        trustedProxies: ['127.0.0.1'],
      },
    )
    const answerTo = async (path: string, headers: Record<string, string> = {}): Promise<unknown[]> => {
      const answer = await send(pipeline.port, { path, headers: { Host: 'shop.example:81', ...headers } })
      return [answer.headers.location, answer.headers['content-location'], answer.headers['set-cookie']]
    }
    const cookies = (first: string): string[] => [
      `a=1; Domain=${first}; Path=/`,
      'b=2; Path=/; Domain=.other.example',
      'c=http://web.internal/',
    ]
    assert.deepEqual(await answerTo('/target'), [
      `http://shop.example:81/login?next=http://${own.host}/a`,
      'http://shop.example:81/a',
      cookies('shop.example'),
    ])
    assert.deepEqual(await answerTo('/name'), [
      'http://shop.example:81/login?next=http://web.internal/a',
      'http://shop.example:81/a',
      cookies('shop.example'),
    ])
    assert.deepEqual(await answerTo('/client'), [
      'http://shop.example:81/login?next=http://shop.example:81/a',
      'https://shop.example:81/a',
      cookies('shop.example'),
    ])
    assert.equal((await answerTo('/target/elsewhere'))[0], 'https://other.example/a')
    const behindProxy = { 'X-Forwarded-Host': 'www.shop.example', 'X-Forwarded-Proto': 'https' }
    const [location] = await answerTo('/target', behindProxy)
    assert.equal(location, `https://www.shop.example/login?next=http://${own.host}/a`)
    const [, , toAddress] = await answerTo('/target', { Host: '127.0.0.1:80' })
    assert.equal((toAddress as string[])[0], 'a=1; Path=/')
  })

  it('does not affect TLS: one connection, to the target’s name, for all hosts', async () => {
    const authority = createAuthority('Test Authority')
    const certificate = authority.issue('localhost')
    const names: unknown[] = []
    const hosts: unknown[] = []
    const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
      hosts.push(request.headers.host)
      response.end('ok')
    })
    server.on('secureConnection', (socket: TLSSocket) => names.push(socket.servername))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await start({ targets: [`https://localhost:${port}`], tls: { ca: authority.certFile } }, [
      route('/client', { host: 'client' }),
      route('/target'),
    ])
    for (const host of ['a.example', 'b.example']) {
      for (const path of ['/client', '/target']) {
        assert.equal((await send(pipeline.port, { path, headers: { Host: host } })).status, 200)
      }
    }
    server.close()
    server.closeAllConnections()
    assert.deepEqual(hosts, ['a.example', `localhost:${port}`, 'b.example', `localhost:${port}`])
    assert.deepEqual(names, ['localhost'])
  })

  it('comes with the stripped prefix, the port and the address in forwarding headers', async () => {
    await start(
      {},
      [
        route('/api', { rewrite: { stripPrefix: '/api' } }),
        route('/own', { requestHeaders: { set: { 'x-real-ip': '192.0.2.1' }, remove: ['x-forwarded-port'] } }),
      ],
      { trustedProxies: ['127.0.0.2'] },
    )
    const fields = (headers: IncomingHttpHeaders): unknown[] =>
      ['x-forwarded-prefix', 'x-forwarded-port', 'x-real-ip'].map(name => headers[name])
    assert.deepEqual(fields(await seen('/api/a', { 'X-Forwarded-Prefix': '/forged' })), ['/api', '81', '127.0.0.1'])
    assert.deepEqual(fields(await seen('/own')), [undefined, undefined, '192.0.2.1'])
  })

  it('comes with a trusted proxy’s prefix before the gateway’s own', async () => {
    await start({}, [route('/api', { rewrite: { stripPrefix: '/api' } })], { trustedProxies: ['127.0.0.1'] })
    const headers = await seen('/api/a', { 'X-Forwarded-Prefix': '/site/', 'X-Forwarded-For': '203.0.113.7' })
    assert.equal(headers['x-forwarded-prefix'], '/site/api')
    assert.equal(headers['x-real-ip'], '203.0.113.7')
  })
})
