import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseGatewayFile } from '../../../../src/config/gateway-file'

const TEXT = readFileSync(join(__dirname, '../../../../..', 'docs/authentication.md'), 'utf8')

describe('docs/authentication.md', () => {
  it('has examples that the gateway takes', () => {
    const examples = [...TEXT.matchAll(/^```yaml\n(.*?)^```$/gms)]
    assert.ok(examples.length > 0)
    const env = { GLOBEX_KEY_HASH: `sha256:${'0a'.repeat(32)}` }
    for (const [, code = ''] of examples) assert.deepEqual(parseGatewayFile(code, 'gateway.yaml', env).problems, [])
  })
})
