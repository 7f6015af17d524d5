import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { openRaw, type RawConnection } from '../support/raw-http'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const FORGED = [
  'X-Forwarded-For: 203.0.113.7',
  'X-Forwarded-Host: forged.example',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Prefix: /forged',
  'X-Forwarded-Ssl: on',
  'X-Real-IP: 203.0.113.7',
  'X_Forwarded_For: 203.0.113.7',
  'X-Forwarded_Proto: https',
  'Forwarded: for=203.0.113.7;proto=https;host=forged.example',
]

describe('the forwarding headers that the upstream gets', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  async function trusting(trustedProxies: readonly string[], host = '127.0.0.1'): Promise<void> {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { trustedProxies } }), { host })
  }

  async function forward(fields: readonly string[], peer = '127.0.0.1'): Promise<IncomingHttpHeaders> {
    const client: RawConnection = await openRaw(pipeline.port, peer)
    client.send(`GET /app HTTP/1.1\r\nHost: shop.example:81\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`)
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    return upstream.requests.at(-1)!.headers
  }
  const loggedClient = (): unknown => pipeline.logs.findLast(entry => entry['event'] === 'request')?.['client']

  it('contain the peer’s address, the requested host, the scheme and the hop', async () => {
    await trusting([])
    const headers = await forward([])
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(headers['x-forwarded-host'], 'shop.example:81')
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['forwarded'], 'for=127.0.0.1;host="shop.example:81";proto=http')
    assert.equal(headers['via'], '1.1 myesi-gateway')
    assert.equal(headers['x-real-ip'], '127.0.0.1')
    assert.equal(headers['x-forwarded-port'], '81')
    assert.equal(headers['host'], new URL(upstream.url).host)
  })

  it('contain nothing that an untrusted client claims', async () => {
    await trusting([])
    const headers = await forward(FORGED)
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(headers['forwarded'], 'for=127.0.0.1;host="shop.example:81";proto=http')
    assert.equal(headers['x-forwarded-host'], 'shop.example:81')
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-forwarded-port'], '81')
    assert.equal(headers['x-real-ip'], '127.0.0.1')
    const others = ['prefix', 'ssl'].map(name => `x-forwarded-${name}`)
    for (const name of [...others, 'x_forwarded_for', 'x-forwarded_proto']) {
      assert.equal(headers[name], undefined, name)
    }
    assert.equal(loggedClient(), '127.0.0.1')
  })

  it('continue those of a trusted proxy', async () => {
    await trusting(['127.0.0.1'])
    const headers = await forward(FORGED.filter(field => !field.includes('_')))
    assert.equal(headers['x-forwarded-for'], '203.0.113.7, 127.0.0.1')
    assert.equal(
      headers['forwarded'],
      'for=203.0.113.7;proto=https;host=forged.example, for=127.0.0.1;host="shop.example:81";proto=http',
    )
    assert.equal(headers['x-forwarded-host'], 'forged.example')
    assert.equal(headers['x-forwarded-proto'], 'https')
    assert.equal(headers['x-forwarded-port'], '443')
    assert.equal(headers['x-real-ip'], '203.0.113.7')
    assert.equal(loggedClient(), '203.0.113.7')
  })

  it('ignore spellings of a trusted proxy that real proxies never write', async () => {
    await trusting(['127.0.0.1'])
    const names = [
      'X_Forwarded_For',
      'X-Forwarded_Host',
      'X_Forwarded-Proto',
      'X-Forwarded-Client_Cert',
      'X_Real_IP',
      'X-Real_IP',
    ]
    const headers = await forward([...names.map(name => `${name}: 203.0.113.7`), 'X_Request_Id: 7'])
    for (const name of names) assert.equal(headers[name.toLowerCase()], undefined, name)
    assert.equal(headers['x_request_id'], '7')
  })

  it('start at the first untrusted proxy, so that clients cannot prepend addresses', async () => {
    await trusting(['127.0.0.0/8', '10.0.0.0/8'])
    const headers = await forward(['X-Forwarded-For: 1.1.1.1, 198.51.100.9, 10.1.2.3', 'X-Forwarded-For: 10.9.9.9'])
    assert.equal(headers['x-forwarded-for'], '1.1.1.1, 198.51.100.9, 10.1.2.3, 10.9.9.9, 127.0.0.1')
    assert.equal(loggedClient(), '198.51.100.9')
  })

  describe('for a client behind a trusted proxy', () => {
    for (const [field, client] of [
      ['X-Forwarded-For: 1.2.3.4:4711', '1.2.3.4'],
      ['X-Forwarded-For: [2001:db8::1]:80', '2001:db8::1'],
      ['X-Forwarded-For: [2001:db8::1]', '2001:db8::1'],
      ['X-Forwarded-For: 6.6.6.6, 1.2.3.4:4711, 10.0.0.7:80', '1.2.3.4'],
      ['X-Forwarded-For: 1.2.3.4,,', '1.2.3.4'],
      ['X-Forwarded-For: 6.6.6.6, unknown', undefined],
      ['X-Forwarded-For: 6.6.6.6, garbage, 10.0.0.7', undefined],
      ['X-Forwarded-For: , "nonsense", ::ffff:999.1.1.1,,', undefined],
      ['X-Forwarded-For: ', '127.0.0.1'],
      ['Forwarded: for=1.2.3.4', '1.2.3.4'],
      ['Forwarded: proto=https;For="1.2.3.4:4711" ; by=_us', '1.2.3.4'],
      ['Forwarded: for="[2001:db8::1]:_port"', '2001:db8::1'],
      ['Forwarded: for=6.6.6.6, for=1.2.3.4;host="a,for=7.7.7.7;", for=10.0.0.7', '1.2.3.4'],
      ['Forwarded: for=6.6.6.6, for=_hidden, for=10.0.0.7', undefined],
      ['Forwarded: for=6.6.6.6, for=unknown', undefined],
      ['Forwarded: for=6.6.6.6, proto=https', undefined],
      ['Forwarded: for=1.2.3.4, ,', '1.2.3.4'],
      ['Forwarded: for=6.6.6.6;host=", for=1.2.3.4', undefined],
      ['Forwarded: for=1.2.3.4;host=a;for=6.6.6.6', undefined],
      ['Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 1.2.3.4', '1.2.3.4'],
    ] as const) {
      it(`name ${client ?? 'unknown'} from ${field.replace('\r\n', ' beside ')}`, async () => {
        await trusting(['127.0.0.1', '10.0.0.0/8'])
        await forward([field])
        assert.equal(loggedClient(), client)
      })
    }
  })

  describe('agree in both header families when a trusted proxy sends one of them', () => {
    const own = 'for=127.0.0.1;host="shop.example:81";proto=http'
    for (const [sent, forwarded, xFor, xHost, xProto] of [
      [
        ['X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a.example'],
        `for=1.2.3.4;host="a.example";proto=https, ${own}`,
        '1.2.3.4, 127.0.0.1',
        'a.example',
        'https',
      ],
      [
        ['X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.7', 'X-Forwarded-Proto: https'],
        `for=6.6.6.6, for=1.2.3.4;proto=https, for=10.0.0.7, ${own}`,
        '6.6.6.6, 1.2.3.4, 10.0.0.7, 127.0.0.1',
        'shop.example:81',
        'https',
      ],
      [
        ['X-Forwarded-For: 1.2.3.4, 10.0.0.7', 'X-Forwarded-Proto: https, http'],
        `for=1.2.3.4;proto=https, for=10.0.0.7;proto=http, ${own}`,
        '1.2.3.4, 10.0.0.7, 127.0.0.1',
        'shop.example:81',
        'https, http',
      ],
      [
        ['X-Forwarded-For: [2001:db8::1]:80, 2001:db8::2, 1.2.3.4:5, _x, a b", 10.0.0.7'],
        `for="[2001:db8::1]:80", for="[2001:db8::2]", for="1.2.3.4:5", for=_x, for=unknown, for=10.0.0.7, ${own}`,
        '[2001:db8::1]:80, 2001:db8::2, 1.2.3.4:5, _x, a b", 10.0.0.7, 127.0.0.1',
        'shop.example:81',
        'http',
      ],
      [
        [
          'X-Forwarded-For: 1.2.3.4',
          'X-Forwarded-Proto: https;host="evil.example"',
          'X-Forwarded-Host: a";for=6.6.6.6',
        ],
        `for=1.2.3.4, ${own}`,
        '1.2.3.4, 127.0.0.1',
        'a";for=6.6.6.6',
        'https;host="evil.example"',
      ],
      [
        ['X-Forwarded-Proto: https'],
        'for=127.0.0.1;host="shop.example:81";proto=https',
        '127.0.0.1',
        'shop.example:81',
        'https',
      ],
      [
        ['Forwarded: for=1.2.3.4;proto=https;host="a.example"'],
        `for=1.2.3.4;proto=https;host="a.example", ${own}`,
        '1.2.3.4, 127.0.0.1',
        'a.example',
        'https',
      ],
      [
        [
          'Forwarded: for=6.6.6.6;proto=ftp;host=evil.example, For="[2001:db8::1]:80";proto=https, for=10.0.0.7;proto=http',
        ],
        `for=6.6.6.6;proto=ftp;host=evil.example, For="[2001:db8::1]:80";proto=https, for=10.0.0.7;proto=http, ${own}`,
        '6.6.6.6, 2001:db8::1, 10.0.0.7, 127.0.0.1',
        'shop.example:81',
        'https',
      ],
      [
        ['Forwarded: for=_hidden;proto=https'],
        `for=_hidden;proto=https, ${own}`,
        'unknown, 127.0.0.1',
        'shop.example:81',
        'https',
      ],
      [
        ['Forwarded: for=6.6.6.6;host=", for=1.2.3.4'],
        `for=unknown, ${own}`,
        'unknown, 127.0.0.1',
        'shop.example:81',
        'http',
      ],
    ] as const) {
      it(sent.join(' and '), async () => {
        await trusting(['127.0.0.1', '10.0.0.0/8'])
        const headers = await forward(sent)
        assert.deepEqual(
          ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'].map(name => headers[name]),
          [forwarded, xFor, xHost, xProto],
        )
      })
    }
  })

  it('include a field reserved for proxies only if a trusted proxy sent it or the file sets it', async () => {
    const names =
      'Proxy Content_Length Transfer_Encoding X-Original-URL X-Rewrite-URL True-Client-IP X-Client-IP Remote-User Remote-Addr X_Request_Id'
    const sent = names.split(' ').map(name => `${name}: 7`)
    const received = async (): Promise<string[]> => {
      const headers = await forward([...sent, 'X-Mine: 7'])
      return [...names.split(' '), 'X-Mine'].filter(name => headers[name.toLowerCase()] === '7')
    }
    await trusting([])
    assert.deepEqual(await received(), ['X-Mine'])
    await pipeline.stop()
    await trusting(['127.0.0.1'])
    assert.deepEqual(await received(), [...names.split(' '), 'X-Mine'])
    await pipeline.stop()
    const entrypoint = { proxyOnlyHeaders: ['X-Mine'], underscoreHeaders: true }
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint }))
    assert.deepEqual(await received(), names.split(' '))
  })

  it('write an IPv6 address in brackets', async () => {
    await trusting([], '::1')
    const headers = await forward([], '::1')
    assert.equal(headers['x-forwarded-for'], '::1')
    assert.equal(headers['forwarded'], 'for="[::1]";host="shop.example:81";proto=http')
  })

  it('continue those of a trusted IPv6 block', async () => {
    await trusting(['::/64'], '::1')
    await forward(['X-Forwarded-For: 2001:db8::7'], '::1')
    assert.equal(loggedClient(), '2001:db8::7')
  })

  it('write an IPv4 client in one form, however it reaches a dual-stack port', async () => {
    await trusting([], '::')
    const headers = await forward([], '127.0.0.1')
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(headers['forwarded'], 'for=127.0.0.1;host="shop.example:81";proto=http')
  })

  it('contain no empty host when the client sent none', async () => {
    await trusting([])
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.0\r\n\r\n')
    await client.closed()
    const { headers } = upstream.requests.at(-1)!
    assert.equal(headers['x-forwarded-host'], undefined)
    assert.equal(headers['forwarded'], 'for=127.0.0.1;proto=http')
    assert.equal(headers['via'], '1.0 myesi-gateway')
  })

  it('keep the hops that others added to Via', async () => {
    await trusting([])
    assert.equal((await forward(['Via: 1.0 cdn'])).via, '1.0 cdn, 1.1 myesi-gateway')
  })
})
