import assert from 'node:assert/strict'
import { ERROR_TYPES, errorType, RedisTimeout } from '../../../src/redis/error-type'

const coded = (code: string): Error => Object.assign(new Error('failed'), { code })

const KINDS: readonly (readonly [unknown, string])[] = [
  [new RedisTimeout(200), 'timeout'],
  [coded('ECONNREFUSED'), 'connection'],
  [new AggregateError([coded('ENOENT'), coded('ECONNRESET')]), 'connection'],
  [new Error('Connection is closed.'), 'connection'],
  [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls'],
  [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'tls'],
  [new Error("OOM command not allowed when used memory > 'maxmemory'."), 'OOM'],
  [new Error('READONLY You can not write against a read only replica.'), 'READONLY'],
  [new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:1'), 'MOVED'],
  [new Error('Too many Cluster redirections. Last error: Error: Connection is closed.'), 'connection'],
  [new Error('WHATEVER a module may say'), '_OTHER'],
  [new Error('ERR unknown command'), '_OTHER'],
  ['no error', '_OTHER'],
]

describe('the error type of a failure of Redis', () => {
  for (const [error, type] of KINDS) {
    it(`is ${type} for ${error instanceof Error ? error.message || error.name : String(error)}`, () => {
      assert.equal(errorType(error), type)
      assert.ok(ERROR_TYPES.includes(type))
    })
  }
})
