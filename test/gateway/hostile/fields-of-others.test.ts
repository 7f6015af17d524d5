import { describeHostile, get, request, served } from './hostile-cases'

const own = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.example' }

// CVE-2026-33805 of another proxy: a client's Connection field made it strip the fields that it had added itself.
describeHostile('fields that Connection names (CVE-2026-33805)', [
  ['X-Forwarded-For', 'RFC 9110 §7.6.1', get('/app', 'Connection: X-Forwarded-For'), served({}, { having: own })],
  [
    'X-Forwarded-For, in capitals and with its value',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: X-FORWARDED-FOR', 'X-Forwarded-For: 192.0.2.1'),
    served({}, { having: own }),
  ],
  [
    'X-Forwarded-Proto',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: keep-alive, X-Forwarded-Proto'),
    served({}, { having: own }),
  ],
  ['X-Forwarded-Host', 'RFC 9110 §7.6.1', get('/app', 'Connection: X-Forwarded-Host'), served({}, { having: own })],
  [
    'Forwarded',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: Forwarded'),
    served({}, { having: { forwarded: 'for=127.0.0.1;host="shop.example";proto=http' } }),
  ],
  ['Via', 'RFC 9110 §7.6.3', get('/app', 'Connection: Via'), served({}, { having: { via: '1.1 myesi-gateway' } })],
  ['Host', 'RFC 9110 §7.6.1', get('/app', 'Connection: Host'), served({ url: '/app' }, { having: own })],
  [
    'Content-Length',
    'RFC 9110 §7.6.1',
    `${get('/app', 'Connection: Content-Length', 'Content-Length: 3')}abc`,
    served({ body: 'abc' }),
  ],
  [
    'Transfer-Encoding',
    'RFC 9110 §7.6.1',
    `${get('/app', 'Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
    served({ body: 'abc' }),
  ],
  [
    'one of the client’s own',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: X-Mine', 'X-Mine: 1'),
    served({}, { without: ['x-mine'] }),
  ],
  [
    'several, in two fields',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: X-One,,X-Two', 'Connection: x-three', 'X-One: 1', 'X-Two: 2', 'X-Three: 3'),
    served({}, { without: ['x-one', 'x-two', 'x-three'] }),
  ],
  [
    'what is no name',
    'RFC 9110 §7.6.1',
    get('/app', 'Connection: (), "x", @', 'X-Mine: 1'),
    served({}, { having: { 'x-mine': '1' } }),
  ],
])

describeHostile('fields of one connection', [
  ['Keep-Alive', 'RFC 9110 §7.6.1', get('/app', 'Keep-Alive: timeout=5'), served({}, { without: ['keep-alive'] })],
  [
    'Proxy-Connection',
    'RFC 9112 §C.2.2',
    get('/app', 'Proxy-Connection: keep-alive'),
    served({}, { without: ['proxy-connection'] }),
  ],
  [
    'Proxy-Authorization',
    'RFC 9110 §11.7.2',
    get('/app', 'Proxy-Authorization: Basic x'),
    served({}, { without: ['proxy-authorization'] }),
  ],
  ['TE', 'RFC 9110 §10.1.4', get('/app', 'TE: trailers, gzip'), served({}, { without: ['te'] })],
  ['Trailer', 'RFC 9110 §6.6.2', get('/app', 'Trailer: X-Sum'), served({}, { without: ['trailer'] })],
  [
    'HTTP2-Settings',
    'RFC 7540 §3.2.1',
    get('/app', 'HTTP2-Settings: AAMAAABkAAQ'),
    served({}, { without: ['http2-settings'] }),
  ],
  [
    'an upgrade to h2c',
    'RFC 7540 §3.2',
    get('/app', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ'),
    served({}, { without: ['upgrade', 'http2-settings'], drops: true }),
  ],
])

// CVE-2026-3635 of another framework: it trusted the forwarded protocol and host of any sender.
describeHostile('forwarding fields of strangers (CVE-2026-3635)', [
  ['X-Forwarded-For', 'RFC 7239 §8.1', get('/app', 'X-Forwarded-For: 192.0.2.1'), served({}, { having: own })],
  [
    'several of it',
    'RFC 7239 §8.1',
    get('/app', 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.2, 127.0.0.1'),
    served({}, { having: own }),
  ],
  ['X-Forwarded-Proto', 'RFC 7239 §8.1', get('/app', 'X-Forwarded-Proto: https'), served({}, { having: own })],
  [
    'X-Forwarded-Host',
    'RFC 7239 §8.1',
    get('/app', 'X-Forwarded-Host: inner.example'),
    served({ url: '/app' }, { having: own }),
  ],
  [
    'X-Forwarded-Host, which chooses no route',
    'RFC 9110 §7.4',
    get('/guarded2', 'X-Forwarded-Host: inner.example'),
    served({ url: '/guarded2' }),
  ],
  [
    'X-Forwarded-Prefix',
    'RFC 7239 §8.1',
    get('/app', 'X-Forwarded-Prefix: /x'),
    served({}, { without: ['x-forwarded-prefix'] }),
  ],
  [
    'X-Forwarded-Port',
    'RFC 7239 §8.1',
    get('/app', 'X-Forwarded-Port: 443'),
    served({}, { having: { 'x-forwarded-port': '80' } }),
  ],
  [
    'X-Real-IP',
    'RFC 7239 §8.1',
    get('/app', 'X-Real-IP: 192.0.2.1'),
    served({}, { having: { 'x-real-ip': '127.0.0.1' } }),
  ],
  [
    'Forwarded',
    'RFC 7239 §8.1',
    get('/app', 'Forwarded: for=192.0.2.1;proto=https'),
    served({}, { having: { forwarded: 'for=127.0.0.1;host="shop.example";proto=http' } }),
  ],
  [
    'Forwarded that leaves its quotes open',
    'RFC 7239 §4',
    get('/app', 'Forwarded: for="192.0.2.1'),
    served({}, { having: { forwarded: 'for=127.0.0.1;host="shop.example";proto=http' } }),
  ],
  [
    'with underscores, as CGI reads them',
    'RFC 3875 §4.1.18',
    get('/app', 'X_Forwarded_For: 192.0.2.1', 'X-Forwarded_Proto: https'),
    served({}, { without: ['x_forwarded_for', 'x-forwarded_proto'], having: own }),
  ],
  [
    'Proxy, which CGI takes for the proxy of its own requests',
    'CVE-2016-5385',
    get('/app', 'Proxy: http://192.0.2.1/'),
    served({}, { without: ['proxy'] }),
  ],
  [
    'framing with underscores',
    'RFC 3875 §4.1.18',
    get('/app', 'Content_Length: 5', 'Transfer_Encoding: chunked'),
    served({}, { without: ['content_length', 'transfer_encoding'] }),
  ],
  [
    'URLs that some frameworks route by',
    'RFC 9110 §7.1',
    get('/app', 'X-Original-URL: /guarded', 'X-Rewrite-URL: /guarded'),
    served({}, { without: ['x-original-url', 'x-rewrite-url'] }),
  ],
  [
    'an address that would open a guarded route',
    'RFC 7239 §8.1',
    request(
      'GET /app HTTP/1.1',
      'Host: shop.example',
      'X-Forwarded-For: 192.0.2.1',
      'X-Real-IP: 192.0.2.1',
      'Forwarded: for=192.0.2.1',
    ),
    served({ url: '/app' }, { having: own }),
  ],
])
