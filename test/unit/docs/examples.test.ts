import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseGatewayFile } from '../../../src/config/gateway-file'

const ROOT = join(__dirname, '../../../..')

describe('examples in the documentation', () => {
  for (const page of ['docs/quick-start.md', 'docs/upstreams.md', 'docs/sites.md']) {
    it(`are valid gateway.yaml files: ${page}`, () => {
      const text = readFileSync(join(ROOT, page), 'utf8')
      const examples = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)]
      assert.ok(examples.length > 0)
      for (const [, code = ''] of examples) assert.deepEqual(parseGatewayFile(code, 'gateway.yaml', {}).problems, [])
    })
  }
})
