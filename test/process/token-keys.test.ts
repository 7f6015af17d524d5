import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { scrape } from '../support/start-collector'
import { startGateway } from '../support/start-gateway'
import { newIssuerKey, startIssuer } from '../support/start-issuer'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('the fetches of token keys', () => {
  it('are counted by URL and result, with 0 from the start', async () => {
    const port = await freePort()
    const upstream = await startUpstream()
    const gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { orders: { targets: [upstream.url] } },
        tokens: {
          sso: { issuer: 'https://login.example/', audience: 'orders', jwks: `http://127.0.0.1:${port}/jwks.json?k=1` },
        },
        routes: [{ name: 'orders', match: { path: '/orders' }, upstream: 'orders', auth: { jwt: { tokens: 'sso' } } }],
      }),
    })
    const counted = async (): Promise<Map<string, number>> => {
      const samples = await scrape(`${gateway.opsUrl}/metrics`)
      const own = samples.filter(({ name }) => name === 'gateway_auth_key_fetches_total')
      for (const { labels } of own) assert.equal(labels['url'], `http://127.0.0.1:${port}/jwks.json`)
      return new Map(own.map(({ labels, value }) => [labels['gateway_auth_key_fetch_result'] ?? '', value]))
    }
    const failed = async (): Promise<boolean> => ((await counted()).get('failed') ?? 0) >= 1
    await until(failed, { what: 'a fetch that failed' })
    assert.equal((await counted()).get('fetched'), 0)
    const issuer = await startIssuer([(await newIssuerKey('a')).publicJwk], port)
    // Without any keys it is tried again every second.
    await until(async () => (await counted()).get('fetched') === 1, { what: 'a fetch that succeeded' })
    await gateway.stop()
    await issuer.stop()
    await upstream.stop()
  })
})
