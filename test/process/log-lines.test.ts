import assert from 'node:assert/strict'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'

describe('the log of the gateway', () => {
  it('is complete when the process exits right after its last requests', async () => {
    const upstream = await startUpstream()
    const gateway = await startGateway({
      config: `{ upstreams: { u: { targets: [${upstream.url}] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }`,
    })
    await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${gateway.url}/r`)).text()))
    const { code } = await gateway.stop()
    assert.equal(code, 0)
    const events = gateway.logs.map(entry => entry['event'])
    assert.equal(events.filter(event => event === 'request').length, 50)
    assert.equal(events.at(-1), 'stopped')
  })
})
