import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isRoutePolicy } from '../../../src/policies/define-policy'
import { POLICIES } from '../../../src/policies/registry'

const PAGE = join(resolve(__dirname, '../../../..'), 'docs/policies.md')

describe('docs/policies.md', () => {
  it('has every policy of the registry in its table of the order', () => {
    const [, table = ''] = /^## Order\n(.*?)^## /ms.exec(readFileSync(PAGE, 'utf8')) ?? []
    const missing = POLICIES.filter(isRoutePolicy).filter(({ name }) => !table.includes(`\`${name}\``))
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    )
  })
})
