import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { apiReference } from '../../../tools/docs/api-reference'

const PAGE = join(__dirname, '../../../../docs/api.md')

describe('docs/api.md', () => {
  it('is what the doc comments say now: a change of the API has to be accepted with `npm run schema`', async () => {
    const expected = await format(apiReference(), { ...(await resolveConfig(PAGE)), filepath: PAGE })
    assert.equal(readFileSync(PAGE, 'utf8'), expected, 'run: npm run schema')
  })

  it('has every export of the package, with its comment and all of its members', () => {
    const text = apiReference()
    for (const name of ['createGateway', 'definePolicy', 'PolicyContext', 'ContextHooks', 'Hooks', 'Attempt']) {
      assert.match(text, new RegExp(`^### ${name}$`, 'm'))
    }
    assert.match(text, /^### createTestGateway$/m)
    assert.match(text, /readBody\(maxBytes: number\): Promise<Buffer>/)
    assert.match(text, /Makes a gateway inside another program/)
  })
})
