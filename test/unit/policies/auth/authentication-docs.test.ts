import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashApiKey } from '../../../../src/cli/hash-key'
import { parseGatewayFile } from '../../../../src/config/gateway-file'

const TEXT = readFileSync(join(__dirname, '../../../../..', 'docs/authentication.md'), 'utf8')

const KEYS_THAT_ARE_GUESSED = [
  '',
  'key',
  'secret',
  'test',
  ...Array.from({ length: 1_000 }, (_, number) => String(number)),
]

describe('the examples', () => {
  for (const name of ['docs/authentication.md', 'docs/rate-limits.md', 'docs/gateway.example.yaml']) {
    it(`let nobody in who copies them and guesses: ${name}`, () => {
      const text = readFileSync(join(__dirname, '../../../../..', name), 'utf8')
      for (const key of KEYS_THAT_ARE_GUESSED) assert.ok(!text.includes(hashApiKey(key)), key)
    })
  }
})

describe('docs/authentication.md', () => {
  it('has examples that the gateway takes', () => {
    const examples = [...TEXT.matchAll(/^```yaml\n(.*?)^```$/gms)]
    assert.ok(examples.length > 0)
    const env = { GLOBEX_KEY_HASH: `sha256:${'0a'.repeat(32)}` }
    for (const [, code = ''] of examples) assert.deepEqual(parseGatewayFile(code, 'gateway.yaml', env).problems, [])
  })
})
