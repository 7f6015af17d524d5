import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseGatewayFile } from '../../../../src/config/gateway-file'
import { redisTarget } from '../../../../src/config/values/redis-url'

const TEXT = readFileSync(join(__dirname, '../../../../..', 'docs/rate-limits.md'), 'utf8')

describe('docs/rate-limits.md', () => {
  it('has an example that the gateway takes', () => {
    const [, example = ''] = /^```yaml\n(.*?)^```$/ms.exec(TEXT) ?? []
    const { config, problems } = parseGatewayFile(example, 'gateway.yaml', {})
    assert.deepEqual(problems, [])
    assert.deepEqual(
      config?.routes[0]?.rateLimit.map(({ name }) => name),
      ['burst', 'daily', 'tenant'],
    )
  })

  it('has only examples that the gateway takes', () => {
    for (const [, example = ''] of TEXT.matchAll(/^```yaml\n(.*?)^```$/gms)) {
      assert.deepEqual(parseGatewayFile(example, 'gateway.yaml', {}).problems, [])
    }
  })

  it('shows Redis URLs that the gateway understands', () => {
    const urls = [...TEXT.matchAll(/^\| `(rediss?(?:\+\w+)?:[^`]+)` \|/gm)].map(
      ([, url = '']) => redisTarget(url).topology,
    )
    assert.deepEqual(urls, ['single', 'single', 'sentinel', 'cluster'])
  })
})
