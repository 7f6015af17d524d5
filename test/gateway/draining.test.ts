import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a gateway that drains', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline(proxyTo(upstream.url, { route: { match: { path: '/app', methods: ['GET'] } } }))
  })
  after(async () => {
    agent.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  const ANSWERS = [
    [{ path: '/app' }, 200],
    [{ path: '/' }, 200],
    [{ path: '/nowhere' }, 404],
    [{ path: '/app', method: 'DELETE' }, 405],
  ] as const

  async function connectionFields(): Promise<(string | undefined)[]> {
    const fields: (string | undefined)[] = []
    for (const [message, status] of ANSWERS) {
      const answer = await send(pipeline.port, { ...message, agent })
      assert.equal(answer.status, status)
      fields.push(answer.headers.connection)
    }
    return fields
  }

  it('announces Connection: close with every response, and does so only while it drains', async () => {
    assert.deepEqual(new Set(await connectionFields()), new Set(['keep-alive']))
    pipeline.drain()
    assert.deepEqual(new Set(await connectionFields()), new Set(['close']))
  })
})
