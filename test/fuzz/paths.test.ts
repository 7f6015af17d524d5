import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { parseRequestTarget } from '../../src/exchange/request-target'
import { GatewayError } from '../../src/errors/gateway-error'
import { holds } from './properties'

const SEGMENTS = [
  'a',
  'A',
  '.',
  '..',
  '%2e',
  '%2E%2e',
  '%41',
  '%zz',
  '%',
  '%2f',
  '%5c',
  '%00',
  ';x',
  '..;x',
  '.%3b',
  '\\',
  '#',
  '',
  '%c3%a9',
  '\xe9',
  '"',
  '<',
  '%7e',
  '%25',
  '%2525',
  '*',
  ':a',
]
/** What Node's parser lets nobody send. */
// eslint-disable-next-line no-control-regex
const NOT_IN_A_TARGET = /[\0-\x08\n\x0b\x0d-\x20\x7f]/g
const paths = fc
  .array(fc.oneof(fc.constantFrom(...SEGMENTS), fc.string({ unit: 'binary-ascii', maxLength: 4 })), {
    minLength: 1,
    maxLength: 6,
  })
  .map(segments => `/${segments.join('/').replace(NOT_IN_A_TARGET, 'c')}`)
const queries = fc.constantFrom('', '?', '?a=b', '?/../x', '?%2e%2e')

/** The path that is matched and forwarded; undefined when it is refused. */
function accepted(target: string, host = 'a'): string | undefined {
  try {
    const { path, query } = parseRequestTarget(target, host)
    return path + query
  } catch (error) {
    assert.ok(error instanceof GatewayError && error.reason === 'bad_request', String(error))
    return undefined
  }
}

describe('any path', () => {
  it('is read the same again once it has been normalised', () => {
    holds(
      fc.property(paths, queries, (path, query) => {
        const once = accepted(path + query)
        if (once !== undefined) assert.equal(accepted(once), once)
      }),
    )
  })

  it('leaves no way up and no separator that another server could find by decoding it', () => {
    holds(
      fc.property(paths, path => {
        const taken = accepted(path)?.split('?')[0]
        if (taken === undefined) return
        const decoded = taken.replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        )
        assert.doesNotMatch(decoded, /(?:^|\/)\.{1,2}(?:$|[/;])|\\|\0|\/\/|^[^/]/)
        assert.doesNotMatch(taken, /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]|%(?![0-9A-F]{2})/)
      }),
    )
  })

  it('means the same in origin form and in absolute form', () => {
    holds(
      fc.property(paths, queries, (path, query) => {
        assert.equal(accepted(`http://a${path}${query}`), accepted(path + query))
      }),
    )
  })
})
