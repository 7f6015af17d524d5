import assert from 'node:assert/strict'
import { startComponent } from '../../../../tools/stack/component'
import { startUpstream } from '../../../support/start-upstream'
import { answers } from '../../../../tools/stack/component'

describe('a component of the stack', () => {
  it('is there when it says that it is ready', async () => {
    let looks = 0
    const child = await startComponent({
      name: 'sleeper',
      path: process.execPath,
      args: ['-e', 'setInterval(() => {}, 1000)'],
      address: 'nowhere',
      isReady: async () => ++looks === 3,
    })
    assert.equal(looks, 3)
    await child.stop()
  })

  it('that ends before it is ready says its last words', async () => {
    const starting = startComponent({
      name: 'sleeper',
      path: process.execPath,
      args: ['-e', 'console.error("unknown flag"); process.exit(2)'],
      address: 'nowhere',
      isReady: async () => false,
    })
    await assert.rejects(
      starting,
      /^Error: sleeper: ended before it was ready \(exit code 2, signal null\)\n {2}unknown flag$/,
    )
  })

  it('answers with 2xx or is not ready', async () => {
    const server = await startUpstream((request, response) => {
      response.statusCode = request.url === '/ok' ? 204 : 503
      response.end()
    })
    assert.equal(await answers(`${server.url}/ok`), true)
    assert.equal(await answers(`${server.url}/not-yet`), false)
    await server.stop()
  })
})
