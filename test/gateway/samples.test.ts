import assert from 'node:assert/strict'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const EVER = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

describe('request samples', () => {
  const upstreams: RunningUpstream[] = []
  let pipeline: Pipeline

  afterEach(async () => {
    await pipeline.stop()
    await Promise.all(upstreams.splice(0).map(async upstream => upstream.stop()))
  })

  async function upstream(status: number): Promise<RunningUpstream> {
    const started = await startUpstream((_request, response) => void response.writeHead(status).end('0123456789'))
    upstreams.push(started)
    return started
  }

  it('contain the target, method, path shape and names of headers, never their values', async () => {
    const good = await upstream(200)
    pipeline = await startPipeline(proxyTo(good.url))
    const headers = {
      'user-agent': 'curl/8.5.0',
      cookie: 'session=secret-of-a-user',
      'content-type': 'text/plain; a=b',
    }
    await send(pipeline.port, { path: '/app/17?token=secret-of-a-query', method: 'POST', body: 'hello', headers })
    await pipeline.ended(1)
    const groups = pipeline.samples.read(EVER)
    const [sample] = groups[0]?.samples ?? []
    assert.equal(groups.length, 1)
    assert.deepEqual([groups[0]?.route, groups[0]?.kind, groups[0]?.seen], ['/app', 'good', 1])
    assert.equal(sample?.target, good.url.replace('http://', ''))
    assert.deepEqual(
      [sample?.method, sample?.path, sample?.query, sample?.status, sample?.attempts],
      ['POST', '/app/{2-3 digits}', 'present', 200, 1],
    )
    assert.deepEqual([sample?.userAgent, sample?.contentType, sample?.requestSize], ['curl 8', 'text/plain', '4-16 B'])
    assert.equal(sample?.responseSize, '4-16 B')
    assert.equal(sample?.clientNetwork, '127.0.0.0/24')
    assert.deepEqual(sample?.headers, ['cookie'])
    assert.doesNotMatch(JSON.stringify(groups), /secret-of/)
  })

  it('name the target that failed first when a retry succeeded elsewhere', async () => {
    const [bad, good] = [await upstream(503), await upstream(200)]
    const route = { upstream: { targets: [bad.url, good.url], retries: { attempts: 2 } } }
    pipeline = await startPipeline(proxyTo(bad.url, route))
    await send(pipeline.port, '/app')
    await pipeline.ended(1)
    const [group] = pipeline.samples.read(EVER)
    assert.equal(group?.kind, 'recovered')
    assert.equal(group?.samples[0]?.target, bad.url.replace('http://', ''))
    assert.equal(group?.samples[0]?.attempts, 2)
  })
})
