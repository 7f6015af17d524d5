import assert from 'node:assert/strict'
import { parseRequestTarget } from '../../../src/exchange/request-target'
import { GatewayError } from '../../../src/errors/gateway-error'

const parse = (url: string, host?: string): string => {
  const { path, query } = parseRequestTarget(url, host)
  return path + query
}

describe('a request target', () => {
  const SAME =
    "/ /a /a/b/ /a-b._~ /!$&'()*+,;=:@ /a? /? /a?b=/../%2e// /a?b=%zz /.a /a. /... /a/...b /%20 /%C3%A9 /%3B /a;b=1/c /%25 " +
    '/%2525'
  for (const url of SAME.split(' ')) {
    it(`stays ${url}`, () => assert.equal(parse(url), url))
  }

  const NORMALISED: Readonly<Record<string, string>> = {
    '//': '/',
    '//a//b//': '/a/b/',
    '/%41%7a%30%2d%2E%5f%7E': '/Az0-._~',
    '/%c3%a9': '/%C3%A9',
    '/a b': '/a%20b',
    '/a\tb': '/a%09b',
    '/{a}': '/%7Ba%7D',
    '/a|b^c`d"e<f>': '/a%7Cb%5Ec%60d%22e%3Cf%3E',
    '/[a]': '/%5Ba%5D',
    '//a?b//c': '/a?b//c',
  }
  for (const [url, expected] of Object.entries(NORMALISED)) {
    it(`becomes ${expected} from ${url}, and then stays so`, () => {
      assert.equal(parse(url), expected)
      assert.equal(parse(expected), expected)
    })
  }

  it('may be the whole server', () => {
    assert.equal(parse('*'), '*')
  })

  const REFUSED =
    '/. /.. /./a /a/.. /a/../b /%2e /%2E%2e/a /.%2e //.. /a//../b /.;/a /..;x=1/a /..%3Ba /%2f /a%2Fb /%5c /%5C /%00 /a\\b ' +
    '/a#b /a?b#c /% /%1 /%g0 /a% ** a a/b http:/a ftp://a/ http:// a:80 ?a'
  for (const url of REFUSED.split(' ')) {
    it(`is refused as ${JSON.stringify(url)}`, () => {
      assert.throws(
        () => parse(url),
        (error: unknown) => error instanceof GatewayError && error.reason === 'bad_request',
      )
    })
  }

  it('is refused with the key that would take it, if there is one', () => {
    const why = (url: string): unknown => {
      try {
        return parse(url)
      } catch (error) {
        return ((error as GatewayError).cause as Error).message
      }
    }
    assert.equal(why('/a%2Fb'), 'ambiguous path: only routes with "rawPath" take %2F')
    for (const url of ['/a%5Cb', '/a%2Fb%5C', '/a%2F..%2Fb', '/%2f/../a']) assert.equal(why(url), 'ambiguous path', url)
  })

  it('is refused when there is none', () => {
    assert.throws(() => parse(''), GatewayError)
  })

  it('in absolute form gives its path, where Host is its authority', () => {
    assert.equal(parse('http://a.example/b?c', 'a.example'), '/b?c')
    assert.equal(parse('HTTPS://A.Example:8443', 'a.example:8443'), '/')
    assert.equal(parse('http://a?b', 'a'), '/?b')
    for (const [url, host] of [
      ['http://a/', 'b'],
      ['http://a/', 'a:80'],
      ['http://a@b/', 'b'],
      ['http://a/', undefined],
      ['http://a.evil/', 'a'],
    ] as const) {
      assert.throws(() => parse(url, host), GatewayError, `${url} ${host}`)
    }
  })

  const HOSTS: Readonly<Record<string, string>> = {
    'Shop.Example': 'shop.example',
    'shop.example:8080': 'shop.example',
    'shop.example.': 'shop.example',
    'shop.example.:80': 'shop.example',
    '127.0.0.1:1': '127.0.0.1',
    '[::1]': '[::1]',
    '[2001:DB8::1]:443': '[2001:db8::1]',
    my_service: 'my_service',
    '': '',
  }
  for (const [header, host] of Object.entries(HOSTS)) {
    it(`is for the host ${host || '(none)'} by ${JSON.stringify(header)}`, () => {
      assert.equal(parseRequestTarget('/', header).host, host)
    })
  }

  for (const header of [
    'a b',
    'a/b',
    'a@b',
    'a,b',
    'a:b',
    'a:123456',
    ':80',
    '[::1',
    '::1',
    'a?b',
    'a#b',
    'a\tb',
    '[a/b]',
  ]) {
    it(`is refused for the host ${JSON.stringify(header)}`, () => {
      assert.throws(() => parseRequestTarget('/', header), GatewayError)
    })
  }
})
