import { describeHostile, forbidden, refused, request, served } from './hostile-cases'

const host = (...hosts: readonly string[]): string => request('GET /app HTTP/1.1', ...hosts)
const absolute = (target: string, ...hosts: readonly string[]): string => request(`GET ${target} HTTP/1.1`, ...hosts)

describeHostile('Host', [
  ['none', 'RFC 9112 §3.2', host(), refused()],
  ['two', 'RFC 9112 §3.2', host('Host: shop.example', 'Host: other.example'), refused()],
  // Over HTTP/2 `:authority` and an equal `host` are one (RFC 9113 §8.3.1).
  [
    'twice the same',
    'RFC 9112 §3.2',
    host('Host: shop.example', 'Host: shop.example'),
    refused(),
    served({ url: '/app' }),
  ],
  ['two in different spelling', 'RFC 9112 §3.2', host('Host: shop.example', 'hOST: other.example'), refused()],
  ['a list', 'RFC 9110 §7.2', host('Host: shop.example, other.example'), refused()],
  ['userinfo', 'RFC 9110 §7.2', host('Host: user@shop.example'), refused()],
  ['userinfo with a password', 'RFC 9110 §7.2', host('Host: user:secret@shop.example'), refused()],
  ['a path', 'RFC 9110 §7.2', host('Host: shop.example/guarded'), refused()],
  ['a query', 'RFC 9110 §7.2', host('Host: shop.example?inner.example'), refused()],
  ['a fragment', 'RFC 9110 §7.2', host('Host: shop.example#inner.example'), refused()],
  ['a backslash', 'RFC 3986 §3.2.2', host('Host: shop.example\\inner.example'), refused()],
  ['a scheme', 'RFC 9110 §7.2', host('Host: http://shop.example'), refused()],
  ['a space within', 'RFC 9110 §7.2', host('Host: shop example'), refused()],
  ['a tab within', 'RFC 9110 §7.2', host('Host: shop\texample'), refused()],
  ['a port that is no number', 'RFC 3986 §3.2.3', host('Host: shop.example:http'), refused()],
  ['a negative port', 'RFC 3986 §3.2.3', host('Host: shop.example:-1'), refused()],
  ['a port too long to be one', 'RFC 3986 §3.2.3', host('Host: shop.example:800000'), refused()],
  ['two ports', 'RFC 3986 §3.2.3', host('Host: shop.example:80:80'), refused()],
  ['an IPv6 address without brackets', 'RFC 3986 §3.2.2', host('Host: ::1'), refused()],
  ['an open bracket', 'RFC 3986 §3.2.2', host('Host: [::1'), refused()],
  ['brackets around a name', 'RFC 3986 §3.2.2', host('Host: [shop.example]'), refused()],
  ['characters outside ASCII', 'RFC 3986 §3.2.2', host('Host: sh\xf6p.example'), refused()],
  ['an escape', 'RFC 3986 §3.2.2', host('Host: shop%2eexample'), refused()],
  ['markup', 'RFC 3986 §3.2.2', host('Host: <script>'), refused()],
  ['another port than the gateway’s', 'RFC 9110 §7.2', host('Host: shop.example:1234'), served({ url: '/app' })],
  ['an IPv6 address', 'RFC 3986 §3.2.2', host('Host: [::1]:8000'), served({ url: '/app' })],
  ['an empty value', 'RFC 9110 §4.2.1', host('Host:'), refused()],
])

// CVE-2026-55602 of another proxy: it chose routes by matching any part of Host and path.
describeHostile('routes that must not be chosen by a part of a name (CVE-2026-55602)', [
  ['the guarded host itself', 'RFC 9110 §7.4', host('Host: inner.example'), forbidden],
  ['in capitals', 'RFC 3986 §3.2.2', host('Host: INNER.example'), forbidden],
  ['with a dot at its end', 'RFC 3986 §3.2.2', host('Host: inner.example.'), forbidden],
  ['with a port', 'RFC 9110 §7.2', host('Host: inner.example:80'), forbidden],
  ['as the front of another', 'RFC 9110 §7.4', host('Host: inner.example.attacker.example'), served({ url: '/app' })],
  ['as the end of another', 'RFC 9110 §7.4', host('Host: evil-inner.example'), served({ url: '/app' })],
  ['in a query', 'RFC 9110 §7.4', absolute('/app?inner.example', 'Host: a'), served({ url: '/app?inner.example' })],
  ['as the front of a segment', 'RFC 3986 §3.3', absolute('/guarded2', 'Host: a'), served({ url: '/guarded2' })],
  ['as the end of a segment', 'RFC 3986 §3.3', absolute('/xguarded', 'Host: a'), served({ url: '/xguarded' })],
])

describeHostile('absolute form', [
  [
    'another authority than Host',
    'RFC 9112 §3.2.2',
    absolute('http://other.example/app', 'Host: shop.example'),
    refused(),
  ],
  [
    'another port than Host',
    'RFC 9112 §3.2.2',
    absolute('http://shop.example:81/app', 'Host: shop.example'),
    refused(),
  ],
  ['no Host', 'RFC 9112 §3.2', absolute('http://shop.example/app'), refused()],
  ['userinfo', 'RFC 9110 §4.2.4', absolute('http://user@shop.example/app', 'Host: shop.example'), refused()],
  ['userinfo in both', 'RFC 9110 §4.2.4', absolute('http://u@shop.example/app', 'Host: u@shop.example'), refused()],
  ['another scheme', 'RFC 9110 §7.4', absolute('ftp://shop.example/app', 'Host: shop.example'), refused()],
  ['a file', 'RFC 9110 §7.4', absolute('file:///etc/passwd', 'Host: shop.example'), refused()],
  ['a script', 'RFC 9110 §7.4', absolute('javascript:alert(1)', 'Host: shop.example'), refused()],
  ['no authority', 'RFC 9110 §4.2.1', absolute('http:///app', 'Host: shop.example'), refused()],
  ['an open bracket', 'RFC 3986 §3.2.2', absolute('http://[::1', 'Host: shop.example'), refused()],
  [
    'a backslash in the authority',
    'RFC 3986 §3.2',
    absolute('http://shop.example\\@inner.example/app', 'Host: shop.example'),
    refused(),
  ],
  ['one slash too few', 'RFC 9112 §3.2.2', absolute('http:/shop.example/app', 'Host: shop.example'), refused()],
  ['authority form with GET', 'RFC 9112 §3.2.3', absolute('shop.example:80', 'Host: shop.example'), refused()],
  ['a path without its slash', 'RFC 9112 §3.2.1', absolute('app', 'Host: shop.example'), refused()],
  ['a dot segment', 'RFC 3986 §3.3', absolute('http://shop.example/app/../guarded', 'Host: shop.example'), refused()],
  [
    'the host it is for',
    'RFC 9112 §3.2.2',
    absolute('http://shop.example/app?q', 'Host: shop.example'),
    served({ url: '/app?q' }),
  ],
  [
    'in another spelling',
    'RFC 3986 §6.2.2.1',
    absolute('HTTP://SHOP.example/app', 'Host: shop.example'),
    served({ url: '/app' }),
  ],
])
