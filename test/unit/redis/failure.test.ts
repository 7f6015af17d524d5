import assert from 'node:assert/strict'
import { RedisTimeout } from '../../../src/redis/error-type'
import { failureOf } from '../../../src/redis/failure'

const coded = (code: string): Error => Object.assign(new Error('failed'), { code })
const allFailed = (lastNodeError: Error): Error =>
  Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError })

const FAILURES: readonly (readonly [unknown, string, string])[] = [
  [new RedisTimeout(200), 'no answer in time', 'timeout'],
  [coded('ECONNREFUSED'), 'ECONNREFUSED', 'connection'],
  [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
  [new Error('NOAUTH Authentication required.'), 'NOAUTH Authentication required.', 'NOAUTH'],
  [new Error('Ready check failed: NOAUTH Authentication required.'), 'NOAUTH Authentication required.', 'NOAUTH'],
  [allFailed(coded('ERR_TLS_CERT_ALTNAME_INVALID')), 'ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
  [allFailed(new Error('Connection is closed.')), 'the connection is closed', 'connection'],
  [new Error('ERR DB index is out of range'), 'ERR DB index is out of range', '_OTHER'],
  [
    new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:1'),
    'MOVED 1 127.0.0.1:1',
    'MOVED',
  ],
  [
    new Error('Too many Cluster redirections. Last error: Error: Connection is closed.'),
    'the connection is closed',
    'connection',
  ],
  [
    new Error(
      'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: WRONGPASS invalid username',
    ),
    'WRONGPASS invalid username',
    'WRONGPASS',
  ],
]

/** What ioredis says of itself. */
const INTERNALS = [
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
  'Connection is closed.',
  'None of startup nodes is available',
  'Failed to refresh slots cache.',
  'Cluster is disconnecting.',
  'Command timed out',
]

describe('a failure of Redis', () => {
  for (const [error, reason, type] of FAILURES) {
    it(`is "${reason}" for ${error instanceof Error ? error.message : String(error)}`, () => {
      assert.partialDeepStrictEqual(failureOf(error), { reason, type })
    })
  }

  for (const message of INTERNALS) {
    it(`is a closed connection, and not what the client says of itself: ${message}`, () => {
      const expected = { reason: 'the connection is closed', type: 'connection', isTelling: false }
      assert.deepEqual(failureOf(new Error(message)), expected)
    })
  }
})
