import { describeHostile, get, HOST, post, refused, request, served } from './hostile-cases'

const SMUGGLED = get('/guarded/smuggled')
const CHUNKED = 'Transfer-Encoding: chunked'
const END = '0\r\n\r\n'
const length = (body: string): string => `Content-Length: ${body.length}`

describeHostile('Content-Length', [
  ['two that disagree', 'RFC 9112 §6.3', post('abcd', 'Content-Length: 3', 'Content-Length: 4'), refused()],
  ['two that agree', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3', 'Content-Length: 3'), refused()],
  ['a list', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3, 3'), refused()],
  ['a list that disagrees', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3, 4'), refused()],
  ['a negative one', 'RFC 9110 §8.6', post('', 'Content-Length: -1'), refused()],
  ['a sign', 'RFC 9110 §8.6', post('abc', 'Content-Length: +3'), refused()],
  ['a hexadecimal one', 'RFC 9110 §8.6', post('abc', 'Content-Length: 0x3'), refused()],
  ['a fraction', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3.0'), refused()],
  ['an exponent', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3e0'), refused()],
  ['a space within', 'RFC 9110 §8.6', post('abc', 'Content-Length: 3 3'), refused()],
  ['an underscore', 'RFC 9110 §8.6', post('abc', 'Content-Length: 1_0'), refused()],
  ['no number', 'RFC 9110 §8.6', post('abc', 'Content-Length: three'), refused()],
  ['no value', 'RFC 9110 §8.6', post('', 'Content-Length:'), refused()],
  ['more than any number can hold', 'RFC 9110 §8.6', post('abc', `Content-Length: ${'9'.repeat(30)}`), refused()],
  ['one that a double rounds', 'RFC 9110 §8.6', post('abc', 'Content-Length: 9999999999999999'), refused()],
  ['a number that wraps around to 3', 'RFC 9110 §8.6', post('abc', 'Content-Length: 18446744073709551619'), refused()],
  ['digits of another script', 'RFC 9110 §8.6', post('abc', 'Content-Length: \xb3'), refused()],
  ['a vertical tab before it', 'RFC 9112 §5.1', post('abc', 'Content-Length: \x0b3'), refused()],
  [
    'a request in the body',
    'RFC 9112 §6',
    post(SMUGGLED, length(SMUGGLED)),
    served({ method: 'POST', body: SMUGGLED }),
  ],
  [
    'a request in the body of a GET',
    'RFC 9110 §9.3.1',
    get('/app', length(SMUGGLED)) + SMUGGLED,
    served({ method: 'GET', body: SMUGGLED }),
  ],
  [
    'a request behind a length of 0',
    'RFC 9112 §6.3',
    post('', 'Content-Length: 0'),
    served({ method: 'POST', body: '' }),
  ],
  ['zeros before it', 'RFC 9110 §8.6', post('abc', 'Content-Length: 0003'), served({ body: 'abc' })],
])

describeHostile('Content-Length and Transfer-Encoding', [
  ['length first', 'RFC 9112 §6.1', post(END, 'Content-Length: 3', CHUNKED), refused()],
  ['chunked first', 'RFC 9112 §6.1', post(END, CHUNKED, 'Content-Length: 3'), refused()],
  [
    'a length that hides a request (CL.TE)',
    'RFC 9112 §6.1',
    post(END + SMUGGLED, length(END + SMUGGLED), CHUNKED),
    refused(),
  ],
  [
    'chunks that hide a request (TE.CL)',
    'RFC 9112 §6.1',
    post(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n${END}`, 'Content-Length: 4', CHUNKED),
    refused(),
  ],
  ['a length of 0 (0.TE)', 'RFC 9112 §6.1', post(END, 'Content-Length: 0', CHUNKED), refused()],
  ['with capitals', 'RFC 9112 §6.1', post(END, 'content-length: 3', 'TRANSFER-ENCODING: CHUNKED'), refused()],
  ['a length that is none', 'RFC 9112 §6.1', post(END, 'Content-Length: x', CHUNKED), refused()],
  [
    'a coding that is hidden by a space',
    'RFC 9112 §5.1',
    post(END, 'Content-Length: 3', 'Transfer-Encoding : chunked'),
    refused(),
  ],
  [
    'a coding that nobody knows',
    'RFC 9112 §6.1',
    post(END, 'Content-Length: 3', 'Transfer-Encoding: xchunked'),
    refused(),
  ],
  [
    'a coding under another name',
    'RFC 9110 §5.1',
    post(SMUGGLED, length(SMUGGLED), 'Transfer_Encoding: chunked'),
    served({ body: SMUGGLED }),
  ],
])

describeHostile('Transfer-Encoding', [
  ['gzip before chunked', 'RFC 9112 §6.1', post(END, 'Transfer-Encoding: gzip, chunked'), refused('not_implemented')],
  [
    'gzip before chunked, in two fields',
    'RFC 9112 §6.1',
    post(END, 'Transfer-Encoding: gzip', CHUNKED),
    refused('not_implemented'),
  ],
  ['chunked before gzip', 'RFC 9112 §6.3', post(END, 'Transfer-Encoding: chunked, gzip'), refused()],
  ['gzip alone', 'RFC 9112 §6.3', post('abc', 'Transfer-Encoding: gzip'), refused()],
  ['identity', 'RFC 9112 §7', post('abc', 'Transfer-Encoding: identity'), refused()],
  ['chunked before identity', 'RFC 9112 §6.3', post(END, 'Transfer-Encoding: chunked, identity'), refused()],
  ['chunked twice', 'RFC 9112 §6.1', post(END, CHUNKED, CHUNKED), refused()],
  ['chunked twice in a list', 'RFC 9112 §6.1', post(END, 'Transfer-Encoding: chunked, chunked'), refused()],
  ['a vertical tab before chunked', 'RFC 9110 §5.6.3', post(END, 'Transfer-Encoding: \x0bchunked'), refused()],
  ['a form feed before chunked', 'RFC 9110 §5.6.3', post(END, 'Transfer-Encoding: \x0cchunked'), refused()],
  ['a NUL behind chunked', 'RFC 9110 §5.5', post(END, 'Transfer-Encoding: chunked\0'), refused()],
  ['chunked in quotes', 'RFC 9112 §7', post(END, 'Transfer-Encoding: "chunked"'), refused()],
  ['chunked with a parameter', 'RFC 9112 §7', post(END, 'Transfer-Encoding: chunked;q=1'), refused()],
  ['chunked with a letter more', 'RFC 9112 §7', post(END, 'Transfer-Encoding: chunkedx'), refused()],
  ['chunked with a letter less', 'RFC 9112 §7', post(END, 'Transfer-Encoding: chunke'), refused()],
  ['an empty list', 'RFC 9112 §6.1', post(END, 'Transfer-Encoding:'), refused()],
  ['commas around chunked', 'RFC 9110 §5.6.1', post(END, 'Transfer-Encoding: ,chunked,'), refused()],
  [
    'chunked in HTTP/1.0',
    'RFC 9112 §6.1',
    request('POST /app HTTP/1.0', HOST, 'Connection: keep-alive', CHUNKED) + END,
    refused(),
  ],
  [
    'chunked in capitals',
    'RFC 9112 §7',
    post(`3\r\nabc\r\n${END}`, 'Transfer-Encoding: CHUNKED'),
    served({ body: 'abc' }),
  ],
  [
    'chunked with spaces around it',
    'RFC 9110 §5.5',
    post(`3\r\nabc\r\n${END}`, 'Transfer-Encoding:  chunked '),
    served({ body: 'abc' }),
  ],
])

const chunks = (body: string): string => post(body, CHUNKED)

describeHostile('the chunked coding', [
  ['a size that is no number', 'RFC 9112 §7.1', chunks(`x\r\nabc\r\n${END}`), refused()],
  ['a size with 0x', 'RFC 9112 §7.1', chunks(`0x3\r\nabc\r\n${END}`), refused()],
  ['a negative size', 'RFC 9112 §7.1', chunks(`-3\r\nabc\r\n${END}`), refused()],
  ['a size with a sign', 'RFC 9112 §7.1', chunks(`+3\r\nabc\r\n${END}`), refused()],
  ['a space before the size', 'RFC 9112 §7.1', chunks(` 3\r\nabc\r\n${END}`), refused()],
  ['a space behind the size', 'RFC 9112 §7.1', chunks(`3 \r\nabc\r\n${END}`), refused()],
  ['an underscore in the size', 'RFC 9112 §7.1', chunks(`1_0\r\n${'a'.repeat(16)}\r\n${END}`), refused()],
  ['no size', 'RFC 9112 §7.1', chunks(`\r\nabc\r\n${END}`), refused()],
  ['a size that no number can hold', 'RFC 9112 §7.1', chunks(`${'f'.repeat(17)}\r\nabc\r\n${END}`), refused()],
  ['a size that wraps around to 3', 'RFC 9112 §7.1', chunks(`10000000000000003\r\nabc\r\n${END}`), refused()],
  ['a bare LF behind the size', 'RFC 9112 §7.1', chunks(`3\nabc\r\n${END}`), refused()],
  ['a bare CR behind the size', 'RFC 9112 §7.1', chunks(`3\rabc\r\n${END}`), refused()],
  ['more data than the size says', 'RFC 9112 §7.1', chunks(`3\r\nabcd\r\n${END}`), refused()],
  ['less data than the size says', 'RFC 9112 §7.1', chunks(`5\r\nabc\r\n${END}`), refused()],
  ['no CRLF behind the data', 'RFC 9112 §7.1', chunks(`3\r\nabc${END}`), refused()],
  ['a bare LF behind the data', 'RFC 9112 §7.1', chunks(`3\r\nabc\n${END}`), refused()],
  ['a bare LF in an extension', 'RFC 9112 §7.1.1', chunks(`3;a\nabc\r\n${END}`), refused()],
  ['a bare CR in an extension', 'RFC 9112 §7.1.1', chunks(`3;a\rb\r\nabc\r\n${END}`), refused()],
  ['a NUL in an extension', 'RFC 9112 §7.1.1', chunks(`3;a\0b\r\nabc\r\n${END}`), refused()],
  ['extensions without end', 'RFC 9112 §7.1.1', chunks(`3;${'a'.repeat(20_000)}\r\nabc\r\n${END}`), refused()],
  ['a folded trailer field', 'RFC 9112 §5.2', chunks(`0\r\nX-A: b\r\n c\r\n\r\n`), refused()],
  ['a trailer field without a colon', 'RFC 9112 §7.1.2', chunks('0\r\nX-A\r\n\r\n'), refused()],
  [
    'trailer fields without end',
    'RFC 9112 §7.1.2',
    chunks(`0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    refused('header_too_large'),
  ],
  [
    'a trailer that says how long the body was',
    'RFC 9110 §6.5.1',
    chunks('3\r\nabc\r\n0\r\nContent-Length: 0\r\n\r\n'),
    refused(),
  ],
  [
    'a trailer that frames',
    'RFC 9110 §6.5.1',
    chunks('3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'),
    refused(),
  ],
  [
    'a trailer with another Host',
    'RFC 9110 §6.5.1',
    chunks('3\r\nabc\r\n0\r\nHost: inner.example\r\n\r\n'),
    served({ url: '/app', body: 'abc' }),
  ],
  [
    'a trailer with a credential',
    'RFC 9110 §6.5.1',
    chunks('3\r\nabc\r\n0\r\nAuthorization: x\r\n\r\n'),
    served({ body: 'abc' }, { without: ['authorization'] }),
  ],
  ['an extension', 'RFC 9112 §7.1.1', chunks(`3;name=value\r\nabc\r\n${END}`), served({ body: 'abc' })],
  [
    'a size in capitals with zeros',
    'RFC 9112 §7.1',
    chunks(`000A\r\nabcdefghij\r\n${END}`),
    served({ body: 'abcdefghij' }),
  ],
  ['several chunks', 'RFC 9112 §7.1', chunks(`1\r\na\r\n2\r\nbc\r\n${END}`), served({ body: 'abc' })],
  ['a last chunk of many zeros', 'RFC 9112 §7.1', chunks('3\r\nabc\r\n000\r\n\r\n'), served({ body: 'abc' })],
  [
    'a request in a chunk',
    'RFC 9112 §7.1',
    chunks(`${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n${END}`),
    served({ body: SMUGGLED }),
  ],
])

describeHostile('Expect', [
  ['another expectation', 'RFC 9110 §10.1.1', get('/app', 'Expect: a-miracle'), refused('expectation_failed')],
  [
    'another one beside it',
    'RFC 9110 §10.1.1',
    get('/app', 'Expect: 100-continue, a-miracle'),
    refused('expectation_failed'),
  ],
  [
    'one in two fields',
    'RFC 9110 §10.1.1',
    get('/app', 'Expect: a-miracle', 'Expect: 100-continue'),
    refused('expectation_failed'),
  ],
  [
    'a body that may not be so large',
    'RFC 9110 §10.1.1',
    request('POST /small HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 11'),
    refused('body_too_large'),
  ],
  [
    'a fault beside it',
    'RFC 9112 §3.2',
    request('POST /app HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 3'),
    refused(),
  ],
])

describeHostile('what comes behind a last request', [
  ['nonsense', 'RFC 9112 §2.2', `${get('/app')}nonsense\r\n\r\n`, served({ url: '/app' }, { thenRefused: true })],
  [
    'more than its body',
    'RFC 9112 §6.3',
    `${post('abc', 'Content-Length: 3')}def\r\n\r\n`,
    served({ body: 'abc' }, { thenRefused: true }),
  ],
  [
    'more than its chunks',
    'RFC 9112 §7.1',
    `${post('0\r\n\r\n', CHUNKED)}def\r\n\r\n`,
    served({ body: '' }, { thenRefused: true }),
  ],
  ['a faulty request', 'RFC 9112 §9.3.2', get('/app/..') + get('/app'), refused()],
  [
    'a request behind Connection: close in HTTP/1.0',
    'RFC 9112 §9.3',
    request('GET /app HTTP/1.0', HOST),
    served({ url: '/app' }, { closes: true }),
  ],
  [
    'a request behind Connection: keep-alive, close in HTTP/1.0',
    'RFC 9112 §9.6',
    request('GET /app HTTP/1.0', HOST, 'Connection: keep-alive, Close'),
    served({ url: '/app' }, { closes: true }),
  ],
  [
    'a request behind Connection: close',
    'RFC 9112 §9.6',
    get('/app', 'Connection: close'),
    served({ url: '/app' }, { closes: true }),
  ],
])
