import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { send, type Answer } from '../support/send'
import { configOf, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const ACME = newApiKey()
const GLOBEX = newApiKey()

for (const store of ['memory', 'Redis'] as const) {
  describe(`limits in ${store}`, () => {
    let upstream: RunningUpstream
    let redis: RunningRedis | undefined
    let pipelines: Pipeline[] = []

    before(async () => {
      upstream = await startUpstream()
      if (store === 'Redis') redis = await startRedis()
    })
    afterEach(async () => {
      await Promise.all(pipelines.map(pipeline => pipeline.stop()))
      pipelines = []
      upstream.handler = (_request, response) => response.end('ok')
    })
    after(async () => {
      await upstream.stop()
      await redis?.stop()
    })

    let turn = 0
    function fileWith(shared: object, routes: readonly object[] = [{}, {}], consumers: object = {}): GatewayFile {
      return {
        consumers,
        // A name of its own for each test, because Redis keeps the counts.
        sharedLimits: { [`quota-${turn}`]: shared },
        upstreams: { app: { targets: [upstream.url] } },
        routes: routes.map((route, i) => ({
          name: `r${i}`,
          match: { path: `/r${i}` },
          upstream: 'app',
          sharedLimits: [`quota-${turn}`],
          ...route,
        })),
      }
    }
    async function start(file: GatewayFile): Promise<Pipeline> {
      const pipeline = await startPipeline(file, redis && { redisUrl: redis.url })
      pipelines.push(pipeline)
      return pipeline
    }
    beforeEach(() => {
      turn++
    })
    const ask = (pipeline: Pipeline, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
      send(pipeline.port, { path, headers })
    const rest = ({ headers }: Answer): unknown => headers['ratelimit']

    describe('shared by name', () => {
      for (const algorithm of ['fixed-window', 'gcra']) {
        it(`count the requests of all their routes together: ${algorithm}`, async () => {
          const pipeline = await start(fileWith({ limit: 3, window: '1h', algorithm }))
          const statuses: number[] = []
          for (const path of ['/r0', '/r1', '/r0', '/r1', '/r0']) statuses.push((await ask(pipeline, path)).status)
          assert.deepEqual(statuses, [200, 200, 200, 429, 429])
          assert.match(String(rest(await ask(pipeline, '/r1'))), new RegExp(`^"quota-${turn}"; r=0; t=`))
        })
      }

      it('are exact for requests of several routes at once', async () => {
        const pipeline = await start(fileWith({ limit: 10, window: '1h' }))
        const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(pipeline, `/r${i % 2}`)))
        assert.equal(answers.filter(({ status }) => status === 200).length, 10)
      })

      it('hold beside the limit of a route, each with its own field', async () => {
        const own = { rateLimit: { limit: 1, window: '1h' } }
        const pipeline = await start(fileWith({ limit: 3, window: '1h' }, [{ ...own, name: `own-${turn}` }, {}]))
        const first = await ask(pipeline, '/r0')
        assert.match(String(rest(first)), new RegExp(`"default"; r=0; t=\\d+, "quota-${turn}"; r=2; t=\\d+`))
        assert.equal((await ask(pipeline, '/r0')).status, 429)
        assert.equal((await ask(pipeline, '/r1')).status, 200)
        // The request that the route's own limit refused was not counted.
        assert.equal((await ask(pipeline, '/r1')).status, 200)
        assert.equal((await ask(pipeline, '/r1')).status, 429)
      })

      it('count consumers across routes, by their tiers', async () => {
        const consumers = {
          acme: { tier: 'gold', apiKeys: [hashApiKey(ACME)] },
          globex: { apiKeys: [hashApiKey(GLOBEX)] },
        }
        const auth = { auth: { apiKey: {} } }
        const shared = { limit: 1, window: '1h', key: 'consumer', tiers: { gold: 3 } }
        const pipeline = await start(fileWith(shared, [auth, auth], consumers))
        const statusesOf = async (key: string): Promise<number[]> => {
          const statuses: number[] = []
          for (const path of ['/r0', '/r1', '/r0', '/r1'])
            statuses.push((await ask(pipeline, path, { 'x-api-key': key })).status)
          return statuses
        }
        assert.deepEqual(await statusesOf(ACME), [200, 200, 200, 429])
        assert.deepEqual(await statusesOf(GLOBEX), [200, 429, 429, 429])
      })

      it('keep their counts through a reload that changes one of the routes', async () => {
        const file = fileWith({ limit: 2, window: '1h' })
        const pipeline = await start(file)
        assert.equal((await ask(pipeline, '/r0')).status, 200)
        pipeline.reload({ ...file, routes: [{ ...file.routes[0], retry: 'never' }] })
        assert.equal((await ask(pipeline, '/r0')).status, 200)
        pipeline.reload(file)
        assert.equal((await ask(pipeline, '/r1')).status, 429)
      })
    })

    describe('with a cost that the upstream reports', () => {
      const cost = { responseHeader: 'X-Cost' }
      const reports = (value: string): void => {
        upstream.handler = (_request, response) => response.writeHead(200, { 'X-Cost': value }).end()
      }

      for (const algorithm of ['fixed-window', 'gcra']) {
        it(`charge it after the response, and the fields tell the rest: ${algorithm}`, async () => {
          const pipeline = await start(fileWith({ limit: 10, window: '10h', algorithm, cost, legacyHeaders: true }))
          reports('7')
          const first = await ask(pipeline, '/r0')
          assert.match(String(rest(first)), new RegExp(`^"quota-${turn}"; r=3; t=\\d+$`))
          assert.equal(first.headers['x-ratelimit-remaining'], '3')
          assert.equal(first.headers['x-cost'], undefined)
          reports('2')
          assert.match(String(rest(await ask(pipeline, '/r1'))), /r=1;/)
        })
      }

      it('refuse requests once it used up the limit, and a report counts at most as the limit', async () => {
        const pipeline = await start(fileWith({ limit: 5, window: '1h', cost }))
        reports('999999999')
        assert.match(String(rest(await ask(pipeline, '/r0'))), /r=0;/)
        assert.equal((await ask(pipeline, '/r1')).status, 429)
      })

      it('count one without a report, or with one that is not a number', async () => {
        const pipeline = await start(fileWith({ limit: 5, window: '1h', cost }))
        assert.match(String(rest(await ask(pipeline, '/r0'))), /r=4;/)
        for (const [i, value] of ['-3', 'x', '0', '1e9'].entries()) {
          reports(value)
          assert.match(String(rest(await ask(pipeline, '/r0'))), new RegExp(`r=${3 - i};`), value)
        }
      })

      it('leave the field to the client with forward: true', async () => {
        const pipeline = await start(fileWith({ limit: 50, window: '1h', cost: { ...cost, forward: true } }))
        reports('2.5')
        const answer = await ask(pipeline, '/r0')
        assert.equal(answer.headers['x-cost'], '2.5')
        assert.match(String(rest(answer)), /r=47;/)
      })

      it('keep the fields of the upstream beside their own', async () => {
        const pipeline = await start(fileWith({ limit: 50, window: '1h', cost }))
        upstream.handler = (_request, response) =>
          response.writeHead(200, { 'X-Cost': '5', RateLimit: '"inner"; r=9; t=1' }).end()
        assert.match(String(rest(await ask(pipeline, '/r0'))), new RegExp(`"inner"; r=9; t=1, "quota-${turn}"; r=45;`))
      })

      it('work for the limit of a single route too', async () => {
        const route = { name: `solo-${turn}`, sharedLimits: [], rateLimit: { limit: 10, window: '1h', cost } }
        const pipeline = await start({ ...fileWith({ limit: 1, window: '1h' }, [route, {}]) })
        reports('4')
        assert.match(String(rest(await ask(pipeline, '/r0'))), /"default"; r=6;/)
        assert.match(String(rest(await ask(pipeline, '/r0'))), /r=2;/)
        assert.equal((await ask(pipeline, '/r0')).status, 200)
        assert.equal((await ask(pipeline, '/r0')).status, 429)
      })
    })
  })
}

describe('shared limits in gateway.yaml', () => {
  const problems = (sharedLimits: object, route: object): string => {
    try {
      configOf({
        sharedLimits,
        upstreams: { app: { targets: ['http://127.0.0.1:1'] } },
        routes: [{ name: 'a', match: { path: '/a' }, upstream: 'app', ...route }],
      })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const QUOTA = { quota: { limit: 5, window: '1m' } }

  it('are refused with a reason', () => {
    assert.equal(problems(QUOTA, { sharedLimits: ['quota'] }), '')
    assert.match(problems(QUOTA, { sharedLimits: ['qouta'] }), /is not among the shared limits.*quota/s)
    assert.match(problems({}, { sharedLimits: ['quota'] }), /the name of an entry of "sharedLimits"/)
    assert.match(problems(QUOTA, { sharedLimits: ['quota', 'quota'] }), /is here a second time/)
    const own = { rateLimit: [{ name: 'quota', limit: 1, window: '1m' }], sharedLimits: ['quota'] }
    assert.match(problems(QUOTA, own), /is the name of a policy of rateLimit here too/)
    const byConsumer = { quota: { limit: 5, window: '1m', key: 'consumer' } }
    assert.match(problems(byConsumer, { sharedLimits: ['quota'] }), /needs auth, which this route does not have/)
    assert.match(
      problems({ quota: { limit: 5, window: '1m', cost: 9 } }, { sharedLimits: ['quota'] }),
      /is more than the limit/,
    )
    assert.match(problems({ quota: { limit: 5 } }, { sharedLimits: ['quota'] }), /"window" is missing/)
    const badCost = { quota: { limit: 5, window: '1m', cost: { responseHeader: 'content-length' } } }
    assert.match(problems(badCost, { sharedLimits: ['quota'] }), /has a responseHeader that/)
    assert.match(
      problems({ quota: { limit: 5, window: '1m', cost: { forward: true } } }, { sharedLimits: ['quota'] }),
      /without "responseHeader"/,
    )
  })
})
