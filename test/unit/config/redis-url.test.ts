import assert from 'node:assert/strict'
import { readSettings } from '../../../src/config/env'
import { redisTarget } from '../../../src/config/values/redis-url'

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
    'redis+sentinel://h/mymaster',
    'rediss+sentinel://user:p%40ss@h:26379,[::1]:26380,i/my-master.1/3',
    'redis+cluster://h',
    'rediss+cluster://:p@h:7000,10.0.0.1:7001/',
    'redis+cluster://h,i/0',
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
    ['redis+sentinel://h', 'has no name of the master behind its sentinels'],
    ['redis+sentinel://h/', 'has no name of the master behind its sentinels'],
    ['redis+sentinel://h/a/b', 'has no name of the master behind its sentinels'],
    ['redis+sentinel://h,/a', 'has no host'],
    ['redis+sentinel://h:x,i/a', 'has a port that is not a number'],
    ['redis+cluster://h,i/1', 'has a database: a cluster has only one'],
    ['redis+cluster://h,i/a', 'has a database that is not a number'],
    ['redis+cluster://hunter2@h,i@j', 'has an "@" in its user name or password: write it as %40'],
    ['redis+unix://h', 'has a scheme that is neither redis nor rediss'],
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
    ['redis://h?password=hunter2', 'has a query, which would override settings of the gateway'],
    ['redis://h#hunter2', 'has a fragment'],
    ['redis://:hun/ter2@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunter2#@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunter2?@h', 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'],
    ['redis://:hunt@er2@h', 'has an "@" in its user name or password: write it as %40'],
    ['redis://:hunter2%@h', 'has a "%" in its user name or password that is no escape: write it as %25'],
    ['redis://::1', 'has an IPv6 address without its brackets: write [::1]'],
    ['redis://[::1', 'has an invalid host name'],
    ['redis://[::x]', 'has an invalid host name'],
    ['redis://[hunter2]', 'has an invalid host name'],
    ['redis://h1,h2:6379', 'has several hosts: that is redis+sentinel or redis+cluster'],
    ['redis://h :6379', 'contains white space'],
    ['redis://h\n', 'contains white space'],
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

  it('says everything there is to know of a single server', () => {
    assert.deepEqual(redisTarget('rediss://us%40er:p%2Fs@[::1]:7/3'), {
      topology: 'single',
      tls: true,
      hosts: [{ host: '::1', port: 7 }],
      username: 'us@er',
      password: 'p/s',
      masterName: undefined,
      database: 3,
    })
  })

  it('has default ports, of sentinels another one', () => {
    const ports = (url: string): number[] => redisTarget(url).hosts.map(({ port }) => port)
    assert.deepEqual(ports('redis://h'), [6379])
    assert.deepEqual(ports('redis+sentinel://h,i:1/m'), [26379, 1])
    assert.deepEqual(ports('redis+cluster://h,i:1'), [6379, 1])
  })

  it('names the master and the database behind sentinels', () => {
    assert.partialDeepStrictEqual(redisTarget('redis+sentinel://:secret@h,i/my-master/2'), {
      topology: 'sentinel',
      tls: false,
      username: undefined,
      password: 'secret',
      masterName: 'my-master',
      database: 2,
    })
  })
})
