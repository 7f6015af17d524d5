import assert from 'node:assert/strict'
import { readSettings } from '../../../src/config/env'

describe('REDIS_URL', () => {
  for (const url of [
    'redis://h',
    'redis://127.0.0.1:6379',
    'redis://127.0.0.1:6379/',
    'redis://h:65535/15',
    'redis://h:1',
    'rediss://user:p%40s%2Fs@redis.example:6380/0',
    'redis://:password@h',
    'redis://user@h',
    'redis://[::1]:6379/1',
    'redis://my_redis',
    'REDIS://h',
  ]) {
    it(`takes ${url}`, () => {
      const { settings, problems } = readSettings({ REDIS_URL: url })
      assert.deepEqual(problems, [])
      assert.equal(settings?.redisUrl, url)
    })
  }

  const SECRET = 'hunter2'
  const wrong: readonly (readonly [string, string, string?])[] = [
    ['localhost:6379', 'has no scheme', 'redis://localhost:6379'],
    ['hunter2', 'has no scheme'],
    ['/tmp/redis.sock', 'has no scheme'],
    ['redis:h', 'has no scheme'],
    ['http://h:6379', 'has a scheme that is neither redis nor rediss', 'redis://h:6379'],
    ['tcp://10.0.0.1:6379', 'has a scheme that is neither redis nor rediss', 'redis://10.0.0.1:6379'],
    ['redis+sentinel://h', 'has a scheme that is neither redis nor rediss'],
    ['user:hunter2@h:6379', 'has no scheme'],
    ['http://user:hunter2@h:6379', 'has a scheme that is neither redis nor rediss'],
    ['redis://', 'has no host'],
    ['redis://:6379', 'has no host'],
    ['redis://:hunter2@', 'has no host'],
    ['redis://:hunter2@:6379', 'has no host'],
    ['redis://h:0', 'has a port that is not from 1 to 65535'],
    ['redis://h:65536', 'has a port that is not from 1 to 65535'],
    ['redis://h:hunter2', 'has a port that is not a number'],
    ['redis://h:', 'has a port that is not a number'],
    ['redis://h:6379:6380', 'has a port that is not a number'],
    ['redis://h/hunter2', 'has a database that is not a number'],
    ['redis://h/-1', 'has a database that is not a number'],
    ['redis://h/0/1', 'has a database that is not a number'],
    ['redis://h?password=hunter2', 'has a query, which would change the connection behind the back of the gateway'],
    ['redis://h#hunter2', 'has a fragment'],
    ['redis://:hun/ter2@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunter2#@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunter2?@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunt@er2@h', 'has an "@" in its user name or password: write it as %40'],
    ['redis://:hunter2%@h', 'has a "%" in its user name or password that is no escape: write it as %25'],
    ['redis://::1', 'has an IPv6 address without its brackets: write [::1]'],
    ['redis://[::1', 'has a host that is no host name'],
    ['redis://[::x]', 'has a host that is no host name'],
    ['redis://[hunter2]', 'has a host that is no host name'],
    ['redis://h1,h2:6379', 'has a host that is no host name'],
    ['redis://h :6379', 'has white space in it'],
    ['redis://h\n', 'has white space in it'],
  ]
  for (const [url, problem, nearest] of wrong) {
    it(`names the mistake and not the password: ${JSON.stringify(url)}`, () => {
      const { settings, problems } = readSettings({ REDIS_URL: url })
      assert.equal(settings, undefined)
      assert.deepEqual(
        problems.map(found => [found.where, found.problem, found.nearest]),
        [['REDIS_URL', `the value ${problem}`, nearest]],
      )
      assert.match(problems[0]?.allowed ?? '', /^redis:\/\/host/)
      assert.ok(!JSON.stringify(problems).includes(SECRET))
      assert.doesNotMatch(JSON.stringify(problems), /hun\/|hunt@|er2/)
    })
  }
})
