import assert from 'node:assert/strict'
import { arrivalOf } from '../../../src/cli/simulated-request'
import { schemeOf } from '../../../src/exchange/peer'
import { configOf, gatewayYaml } from '../config/gateway-yaml'

describe('a simulated request', () => {
  for (const scheme of ['http', 'https'] as const) {
    it(`arrives by the scheme of its URL: ${scheme}`, async () => {
      const { entrypoint } = configOf(gatewayYaml())
      const typed = { method: 'GET', scheme, authority: 'a', target: '/', headers: [], peer: '127.0.0.1' }
      const arrival = await arrivalOf(typed, entrypoint)
      assert.ok('request' in arrival)
      assert.equal(schemeOf(arrival.request), scheme)
    })
  }
})
