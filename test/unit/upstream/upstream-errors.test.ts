import assert from 'node:assert/strict'
import { errors } from 'undici'
import { GatewayError } from '../../../src/errors/gateway-error'
import { REASONS, type Reason } from '../../../src/errors/reasons'
import { toGatewayError } from '../../../src/upstream/upstream-errors'

const withCode = (code: string): Error => Object.assign(new Error(`said ${code}`), { code })

describe('a failed call to an upstream', () => {
  const BY_CODE: Readonly<Record<string, Reason>> = {
    ECONNREFUSED: 'connect_refused',
    EHOSTUNREACH: 'unreachable',
    ENETUNREACH: 'unreachable',
    ETIMEDOUT: 'connect_timeout',
    ENOTFOUND: 'dns',
    EAI_AGAIN: 'dns',
    EPROTO: 'tls',
    CERT_HAS_EXPIRED: 'tls',
    ERR_TLS_CERT_ALTNAME_INVALID: 'tls',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls',
    ECONNRESET: 'reset',
    EPIPE: 'reset',
    E_NOBODY_KNOWS: 'internal',
  }
  for (const [code, reason] of Object.entries(BY_CODE)) {
    it(`with ${code} is ${reason}`, () => {
      const cause = withCode(code)
      const failure = toGatewayError(cause)
      assert.equal(failure.reason, reason)
      assert.equal(failure.cause, cause)
      assert.deepEqual([failure.status, failure.outcome], [REASONS[reason].status, REASONS[reason].outcome])
    })
  }

  it('with an error of undici is what that means', () => {
    const cases: readonly (readonly [Error, Reason])[] = [
      [new errors.ConnectTimeoutError(), 'connect_timeout'],
      [new errors.SocketError('other side closed'), 'reset'],
      [new errors.SocketError('bad upgrade'), 'bad_response'],
      [new errors.SocketError('bad response'), 'bad_response'],
      [new errors.HTTPParserError('Response does not match the HTTP/1.1 protocol'), 'bad_response'],
      [new errors.HeadersOverflowError(), 'bad_response'],
      [new errors.ResponseContentLengthMismatchError(), 'bad_response'],
      [new errors.InvalidArgumentError('invalid request path'), 'bad_request'],
    ]
    for (const [error, reason] of cases) assert.equal(toGatewayError(error).reason, reason, error.message)
  })

  it('at every address of a name is what the last one said', () => {
    const all = new AggregateError([withCode('EHOSTUNREACH'), withCode('ECONNREFUSED')])
    assert.equal(toGatewayError(all).reason, 'connect_refused')
  })

  it('for a reason that is known already keeps it', () => {
    const known = new GatewayError('response_timeout')
    assert.equal(toGatewayError(known), known)
  })

  it('of which nothing is known is ours', () => {
    for (const error of [new Error('?'), 'text', undefined, null, 7]) {
      assert.equal(toGatewayError(error).reason, 'internal')
    }
  })
})
