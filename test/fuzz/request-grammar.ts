import { mutateBytes, type Random } from './random'

/** How likely one place of a request is something that needs care. */
const RARE = 0.06

/** What a client sends on one connection, one character per byte: requests behind each other, most of them with a flaw. */
export function randomRequests(random: Random, prefix: string): string {
  let bytes = ''
  for (let count = 1 + random.below(4), i = 0; i < count; i++) bytes += randomRequest(random, `${prefix}r${i}z`)
  if (random.chance(0.2)) bytes = mutateBytes(bytes, random)
  if (random.chance(0.05)) bytes = bytes.slice(0, random.below(bytes.length))
  return bytes
}

/** Where to cut what is sent into writes: nowhere, at a few places or, while it is short, behind every byte. */
export function randomCuts(random: Random, length: number): number[] {
  if (random.chance(0.5)) return []
  if (length < 500 && random.chance(0.3)) return Array.from({ length: length - 1 }, (_, i) => i + 1)
  const cuts = Array.from({ length: 1 + random.below(6) }, () => 1 + random.below(length))
  return [...new Set(cuts)].sort((a, b) => a - b)
}

function randomRequest(random: Random, id: string): string {
  const rare = <T>(flaws: readonly T[], usual: readonly T[]): T => random.rarely(RARE, flaws, usual)
  const method = rare(METHODS, ['GET', 'GET', 'POST', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH'])
  const target = rare(TARGETS, ['/app/ID', '/app/ID?q=1', 'http://a/app/ID']).replace('ID', id)
  const version = rare(VERSIONS, ['HTTP/1.1'])
  const space = (): string => rare(['  ', '\t', '', ' \r'], [' '])
  const lineEnd = (): string => random.rarely(RARE / 4, ['\n', '\r', '\r\r\n', '\n\r\n'], ['\r\n'])
  const lines = [
    rare(
      ['Host: b', 'Host: a\r\nHost: a', 'Host: a\r\nHost: b', 'Host:', 'X: y', 'host : a', ' Host: a', 'Host: a:80'],
      ['Host: a'],
    ),
    `X-Id: ${id}`,
  ]
  for (let extra = random.below(4); extra > 0; extra--) {
    if (random.chance(0.3)) lines.splice(random.below(lines.length + 1), 0, random.pick(FIELDS)())
  }
  const { fields, body } = randomBody(random, id, method)
  for (const field of fields) lines.splice(random.below(lines.length + 1), 0, field)
  const start = `${rare(['', '\r\n', '\n', '\r\n\r\n', ' ', '\0'], [''])}${method}${space()}${target}${space()}${version}`
  const head = [start, ...lines].map(line => line + lineEnd()).join('')
  return head + lineEnd() + body
}

function randomBody(random: Random, id: string, method: string): { fields: string[]; body: string } {
  if (random.chance(method === 'GET' || method === 'HEAD' ? 0.8 : 0.2)) return { fields: [], body: '' }
  const inner = `GET /app/${id}s HTTP/1.1\r\nHost: a\r\nX-Id: ${id}s\r\n\r\n`
  const body = random.pick(['', 'hello', 'a'.repeat(random.below(3_000)), `0\r\n\r\n${inner}`, inner, `\r\n${inner}`])
  const length = `Content-Length: ${body.length}`
  const chunked = 'Transfer-Encoding: chunked'
  const flawed = random.chance(0.3)
  const kind = random.below(flawed ? 4 : 2)
  if (kind === 0) return { fields: [length], body }
  if (kind === 1) return { fields: [chunked], body: chunks(random, body, flawed ? 0.4 : 0) }
  if (kind === 2) {
    const wrong = random.pick(LENGTHS)(body.length)
    return { fields: wrong, body }
  }
  const both = random.chance(0.5) ? [length] : []
  return { fields: [...random.pick(CODINGS), ...both], body: random.chance(0.5) ? body : chunks(random, body, 0.1) }
}

function chunks(random: Random, body: string, flaws: number): string {
  let text = ''
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + random.below(random.chance(0.5) ? 5 : 1_000))
    const hex = size.toString(16)
    const line = random.rarely(flaws, CHUNK_SIZES, ['HEX']).replace('HEX', hex)
    const end = random.rarely(flaws / 3, ['\n', '\r', '', '\r\n\r\n', ' \r\n'], ['\r\n'])
    text += `${line}${random.rarely(flaws / 3, ['\n', '\r', '\r\r\n'], ['\r\n'])}${body.slice(at, at + size)}${end}`
    at += size
  }
  const last = random.rarely(flaws, ['00', '0;x', '0 ', '', '-0', '0x0', '0\r\nX: y'], ['0'])
  const trailers = random.rarely(flaws, TRAILERS, [''])
  return `${text}${last}\r\n${trailers}\r\n`
}

const METHODS = [
  'get',
  'QUERY',
  'FOO-BAR',
  'LIST',
  'CONNECT',
  'TRACE',
  'PRI',
  'SOURCE',
  'M-SEARCH',
  'DESCRIBE',
  'GE T',
  '',
  'GET\0',
  'PROPFIND',
  'PURGE',
]
const TARGETS = [
  '*',
  '/',
  'ID',
  '/app/../ID',
  '/app/%2e%2e/ID',
  '/app//ID',
  '//app/ID',
  '/app/%00/ID',
  '/app/x%2fID',
  '/app\\ID',
  '/app/ID#f',
  '/app/ID?a#f',
  'http://b/app/ID',
  'http://a:80/app/ID',
  'https://a/app/ID',
  'HTTP://A/app/ID',
  'ftp://a/app/ID',
  'a:80',
  'http://u@a/app/ID',
  '/app/\xff/ID',
  '/app/%ff/ID',
  '/app/%/ID',
  '/app/;x=y/ID',
  '/app/.;/ID',
  '/app/\t/ID',
  '/app/"<>/ID',
  '/app/ID?x=\x80',
  `/app/${'p'.repeat(9_000)}/ID`,
  '/App/ID',
  '/app/ID?x y',
  '/app/ID?\r\nX: y',
  '/app/ID HTTP/1.1\r\nX: y',
]
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/0.9',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/11',
  'HTTP/1.',
  '',
  'HTTP/1.1 x',
  'RTSP/1.0',
  'ICE/1.0',
  'HTTP/1.1\t',
]

const FIELDS: readonly (() => string)[] = [
  () => 'Connection: close',
  () => 'Connection: keep-alive',
  () => 'Connection: x-id, host',
  () => 'Connection: transfer-encoding, content-length',
  () => 'Connection: keep-alive, close',
  () => 'Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
  () =>
    'Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  () => 'Upgrade: websocket',
  () => 'Proxy-Connection: keep-alive',
  () => 'Keep-Alive: timeout=1',
  () => 'Expect: 100-continue',
  () => 'Expect: 100-continue, x',
  () => 'Expect: 200-ok',
  () => 'TE: trailers',
  () => 'Trailer: X-Sum',
  () => 'X-A: 1\r\n folded',
  () => 'X-A:\r\n\tContent-Length: 5',
  () => 'X-A: 1\nX-B: 2',
  () => 'X-A: 1\rX-B: 2',
  () => 'X-A: 1\r\r\nX-B: 2',
  () => 'X-A: \0',
  () => 'X-A: \x01\x7f',
  () => 'X-A: \xff\xfe',
  () => 'X A: 1',
  () => 'X-A : 1',
  () => ': 1',
  () => 'X-A',
  () => '\xa0X: 1',
  () => 'X-A:',
  () => `X-Large: ${'v'.repeat(10_000)}`,
  () => `X-Larger: ${'v'.repeat(20_000)}`,
  () => Array.from({ length: 150 }, (_, i) => `X-${i}: ${i}`).join('\r\n'),
  () => 'Content_Length: 5',
  () => 'Transfer_Encoding: chunked',
  () => 'Content-Length\0: 5',
  () => 'Forwarded: for=1.2.3.4;host=b',
  () => 'X-Forwarded-Host: b',
  () => 'X-HTTP-Method-Override: DELETE',
  () => 'Range: bytes=0-0',
  () => 'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  () => 'Accept-Encoding: gzip',
  () => 'Max-Forwards: 0',
]

const LENGTHS: readonly ((length: number) => string[])[] = [
  n => [`Content-Length: ${n + 1}`],
  n => [`Content-Length: ${Math.max(0, n - 1)}`],
  n => [`Content-Length: ${n}`, `Content-Length: ${n}`],
  n => [`Content-Length: ${n}`, `Content-Length: 0`],
  n => ['Content-Length: 0', `Content-Length: ${n}`],
  n => [`Content-Length: ${n}, ${n}`],
  n => [`Content-Length: +${n}`],
  n => [`Content-Length: -${n}`],
  n => [`Content-Length: 0x${n}`],
  n => [`Content-Length: ${n}\x0b`],
  n => [`Content-Length:\t${n} \t`],
  n => [`Content-Length: 0${n}`],
  n => [`Content-Length: ${n}.0`],
  n => [`Content-Length: ${n}e0`],
  n => [`Content-Length : ${n}`],
  n => [`Content-Length:\r\n ${n}`],
  () => ['Content-Length: '],
  () => ['Content-Length: 99999999999999999999'],
  () => ['Content-Length: 18446744073709551616'],
]

const CODINGS: readonly string[][] = [
  ['Transfer-Encoding: chunked', 'Content-Length: 0'],
  ['Transfer-Encoding: chunked', 'Content-Length: 5'],
  ['Transfer-Encoding: Chunked'],
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunked, chunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
  ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: gzip, chunked'],
  ['Transfer-Encoding: chunked, gzip'],
  ['Transfer-Encoding: identity'],
  ['Transfer-Encoding:'],
  ['Transfer-Encoding: ,chunked'],
  ['Transfer-Encoding: chunked,'],
  ['Transfer-Encoding: "chunked"'],
  ['Transfer-Encoding: chunked;q=1'],
  ['Transfer-Encoding:\x0bchunked'],
  ['Transfer-Encoding: chunked\x00'],
  ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding:\r\n chunked'],
  ['Transfer-Encoding: chunked\r\n '],
  ['Transfer-Encoding\t: chunked'],
]

const CHUNK_SIZES = [
  'HEX;a',
  'HEX;a=b',
  'HEX;a="b"',
  'HEX; a="\n"',
  'HEX ;a',
  'HEX ',
  ' HEX',
  '0HEX',
  '000000000000000000000HEX',
  '0xHEX',
  '+HEX',
  '-HEX',
  'HEX\t',
  'HEX,1',
  'HEXg',
  'ffffffffffffffff',
  '10000000000000000',
  '7fffffffffffffff',
  '',
  `HEX;${'x'.repeat(20_000)}`,
  'HEX\0',
  'HEX;\x01',
  'HEX;a\rb',
]

const TRAILERS = [
  'X-Sum: 1\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  'X\r\n',
  ' X: y\r\n',
  'X : y\r\n',
  'X: y\n',
  `X: ${'v'.repeat(20_000)}\r\n`,
  'X: 1\r\n 2\r\n',
]
