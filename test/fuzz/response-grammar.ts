import { mutateBytes, type Random } from './random'

export interface Script {
  /** What an upstream writes, one character per byte; it waits a turn of the event loop between two of them. */
  readonly writes: readonly string[]
  readonly end: 'keep' | 'close' | 'reset'
}

/** How an upstream answers one request: mostly with a flaw. */
export function randomResponse(random: Random, id: string): Script {
  let text = ''
  for (let count = random.rarely(0.1, [1, 3, 50, 2_000], [0]); count > 0; count--) text += random.pick(INTERIM)
  text += finalResponse(random, id)
  // Behind the end of the response: nobody's answer, whoever asks next.
  if (random.chance(0.15)) text += `HTTP/1.1 200 OK\r\nX-Echo: evil-${id}\r\nContent-Length: 4\r\n\r\nevil`
  if (random.chance(0.15)) text = mutateBytes(text, random)
  if (random.chance(0.1)) text = text.slice(0, random.below(text.length))
  const cut = random.chance(0.5) ? [] : [random.below(text.length), random.below(text.length)].sort((a, b) => a - b)
  const writes = [...cut, text.length].map((to, i) => text.slice(cut[i - 1] ?? 0, to))
  return { writes, end: random.pick(['keep', 'keep', 'close', 'close', 'reset']) }
}

function finalResponse(random: Random, id: string): string {
  const body = `body ${id} ${'b'.repeat(random.below(random.chance(0.1) ? 100_000 : 100))}`
  const status = random.rarely(0.15, STATUSES, ['200 OK', '201 Created', '404 Not Found', '503 Service Unavailable'])
  const version = random.rarely(0.05, ['HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP', 'ICY', ''], ['HTTP/1.1'])
  const fields = [`X-Echo: ${id}`]
  for (let extra = random.below(3); extra > 0; extra--) {
    if (random.chance(0.4)) fields.push(random.pick(FIELDS))
  }
  const kind = random.below(random.chance(0.4) ? 5 : 2)
  let content = body
  if (kind === 0) fields.push(`Content-Length: ${body.length}`)
  else if (kind === 1) {
    fields.push('Transfer-Encoding: chunked')
    content = chunked(random, body)
  } else if (kind === 2) {
    fields.push(...random.pick(FRAMINGS).map(field => field.replace('N', String(body.length))))
    if (random.chance(0.5)) content = chunked(random, body)
  } else if (kind === 3)
    fields.push(`Content-Length: ${random.pick([0, 1, body.length - 1, body.length + 1, body.length + 1_000])}`)
  // Else it ends with the connection.
  const end = random.rarely(0.04, ['\n', '\r', '\r\r\n'], ['\r\n'])
  return [`${version} ${status}`, ...fields, ''].map(line => line + end).join('') + content
}

function chunked(random: Random, body: string): string {
  const at = random.below(body.length)
  const size = (text: string): string =>
    random
      .rarely(0.08, ['HEX;a=b', 'HEX ', '0xHEX', '-HEX', 'fffffffffffffffff', ''], ['HEX'])
      .replace('HEX', text.length.toString(16))
  const parts = [body.slice(0, at), body.slice(at)]
    .filter(part => part !== '')
    .map(part => `${size(part)}\r\n${part}\r\n`)
  const trailers = random.rarely(
    0.2,
    ['X-Sum: 1\r\n', 'Content-Length: 3\r\n', 'Set-Cookie: a=b\r\n', 'X\r\n', `X: ${'t'.repeat(40_000)}\r\n`],
    [''],
  )
  return `${parts.join('')}${random.rarely(0.1, ['', '00', '0 '], ['0'])}\r\n${trailers}\r\n`
}

const INTERIM = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 102 Processing\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 104 Upload Resumption Supported\r\nX: y\r\n\r\n',
  'HTTP/1.1 199 Other\r\n\r\n',
]
const STATUSES = [
  '101 Switching Protocols',
  '204 No Content',
  '205 Reset Content',
  '304 Not Modified',
  '999 Odd',
  '099 Low',
  '1000 Long',
  '20 Short',
  '200',
  '200 \xff\x80',
  '',
  '-1 Minus',
  '206 Partial Content',
  '407 Proxy Authentication Required',
  '600 X',
  '200 a\tb',
]
const FIELDS = [
  'Connection: close',
  'Connection: keep-alive',
  'Connection: x-echo',
  'Connection: upgrade\r\nUpgrade: websocket',
  'Keep-Alive: timeout=0',
  'Trailer: X-Sum',
  'X-A: 1\r\n folded',
  'X-A: \0',
  'X A: 1',
  'X-A : 1',
  ': 1',
  'X-A',
  'X-A: \xff',
  'X-A: a\rb',
  'X-A: a\nX-B: b',
  'Content-Encoding: gzip',
  'Set-Cookie: a=b\r\nSet-Cookie: c=d',
  `X-Large: ${'l'.repeat(14_000)}`,
  `X-Larger: ${'l'.repeat(40_000)}`,
  'Date: never',
  'Retry-After: 1',
  Array.from({ length: 300 }, (_, i) => `X-${i}: ${i}`).join('\r\n'),
  'Proxy-Authenticate: NTLM',
  'WWW-Authenticate: Negotiate',
  'Transfer-Encoding: identity',
  'Content-Type: text/event-stream',
  'X-Bad: \x01',
]
const FRAMINGS = [
  ['Content-Length: N', 'Transfer-Encoding: chunked'],
  ['Content-Length: N', 'Content-Length: N'],
  ['Content-Length: N', 'Content-Length: 1'],
  ['Content-Length: 1', 'Content-Length: N'],
  ['Content-Length: N, N'],
  ['Content-Length: +N'],
  ['Content-Length: -1'],
  ['Content-Length: 0xN'],
  ['Content-Length: 99999999999999999999'],
  ['Content-Length:'],
  ['Content-Length: N\r\n '],
  ['Transfer-Encoding: gzip, chunked'],
  ['Transfer-Encoding: chunked, gzip'],
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding:\x0bchunked'],
]
