import { describeHostile, get, HOST, refused, request, served } from './hostile-cases'

/** nghttp2 drops a field with such a value (docs/protocols.md). */
const leftOut = served({ url: '/app' }, { without: ['x-a'] })

describeHostile('header fields', [
  ['a space before the colon', 'RFC 9112 §5.1', get('/app', 'X-A : b'), refused()],
  ['a tab before the colon', 'RFC 9112 §5.1', get('/app', 'X-A\t: b'), refused()],
  ['a space before the name', 'RFC 9112 §2.2', request('GET /app HTTP/1.1', ` ${HOST}`), refused()],
  ['a space before the first name', 'RFC 9112 §2.2', request('GET /app HTTP/1.1', ' X-A: b', HOST), refused()],
  ['a folded value', 'RFC 9112 §5.2', get('/app', 'X-A: b\r\n c'), refused()],
  ['a value folded with a tab', 'RFC 9112 §5.2', get('/app', 'X-A: b\r\n\tc'), refused()],
  ['a folded Host', 'RFC 9112 §5.2', request('GET /app HTTP/1.1', 'Host: shop\r\n .example'), refused()],
  ['a folded framing', 'RFC 9112 §5.2', get('/app', 'Transfer-Encoding:\r\n chunked'), refused()],
  ['no colon', 'RFC 9112 §5', get('/app', 'X-A'), refused()],
  ['no name', 'RFC 9112 §5', get('/app', ': b'), refused()],
  ['a space within the name', 'RFC 9110 §5.1', get('/app', 'X A: b'), refused()],
  ['a bracket in the name', 'RFC 9110 §5.6.2', get('/app', 'X(A): b'), refused()],
  ['a NUL in the name', 'RFC 9110 §5.1', get('/app', 'X\0A: b'), refused()],
  ['a character outside ASCII in the name', 'RFC 9110 §5.1', get('/app', 'X-\xe9: b'), refused()],
  ['a NUL in the value', 'RFC 9110 §5.5', get('/app', 'X-A: b\0c'), refused(), leftOut],
  ['a control character in the value', 'RFC 9110 §5.5', get('/app', 'X-A: b\x01c'), refused(), leftOut],
  ['DEL in the value', 'RFC 9110 §5.5', get('/app', 'X-A: b\x7fc'), refused(), leftOut],
  ['a bare CR in the value', 'RFC 9112 §2.2', get('/app', 'X-A: b\rX-B: c'), refused()],
  ['a bare LF at the end of a field', 'RFC 9112 §2.2', get('/app', 'X-A: b\nX-B: c'), refused()],
  ['CR CR LF at the end of a field', 'RFC 9112 §2.2', get('/app', 'X-A: b\r'), refused()],
  ['a bare LF at the end of the section', 'RFC 9112 §2.2', `GET /app HTTP/1.1\r\n${HOST}\r\n\n`, refused()],
  [
    'a second Host under the name of another field',
    'RFC 9112 §5.1',
    get('/app', 'X-A: b\r\nHost : inner.example'),
    refused(),
  ],
  ['an empty value', 'RFC 9110 §5.5', get('/app', 'X-A:'), served({ url: '/app' }, { having: { 'x-a': '' } })],
  [
    'spaces and tabs around a value',
    'RFC 9110 §5.5',
    get('/app', 'X-A: \t b \t '),
    served({}, { having: { 'x-a': 'b' } }),
  ],
  [
    'bytes above ASCII in the value',
    'RFC 9110 §5.5',
    get('/app', 'X-A: caf\xc3\xa9'),
    served({}, { having: { 'x-a': 'caf\xc3\xa9' } }),
  ],
])

describeHostile('header floods', [
  [
    'more fields than may be',
    'RFC 6585 §5',
    get('/app', ...Array<string>(100).fill('X: a')),
    refused('header_too_large'),
  ],
  ['as many as may be', 'RFC 9110 §5.4', get('/app', ...Array<string>(99).fill('X: a')), served({ url: '/app' })],
  [
    'thousands of empty fields',
    'RFC 6585 §5',
    get('/app', ...Array<string>(2_500).fill('X:')),
    refused('header_too_large'),
  ],
  ['one field that is too large', 'RFC 6585 §5', get('/app', `X: ${'x'.repeat(20_000)}`), refused('header_too_large')],
  ['one name that is too large', 'RFC 6585 §5', get('/app', `${'x'.repeat(20_000)}: a`), refused('header_too_large')],
  [
    'many fields that are too large together',
    'RFC 6585 §5',
    get('/app', ...Array<string>(90).fill(`X: ${'x'.repeat(200)}`)),
    refused('header_too_large'),
  ],
  [
    'a header section of a megabyte',
    'RFC 6585 §5',
    get('/app', `X: ${'x'.repeat(1_000_000)}`),
    refused('header_too_large'),
  ],
  ['a URL that is too long', 'RFC 9112 §3', get(`/app?${'x'.repeat(9_000)}`), refused('uri_too_long')],
  ['a URL longer than a header section', 'RFC 9112 §3', get(`/app?${'x'.repeat(20_000)}`), refused('uri_too_long')],
  ['a URL of a megabyte', 'RFC 9112 §3', get(`/app?${'x'.repeat(1_000_000)}`), refused('uri_too_long')],
  ['a URL as long as it may be', 'RFC 9110 §4.1', get(`/app?${'x'.repeat(8_192 - 5)}`), served({ method: 'GET' })],
  ['a cookie of 15 KiB', 'RFC 6265 §6.1', get('/app', `Cookie: a=${'x'.repeat(15_000)}`), served({ url: '/app' })],
])
