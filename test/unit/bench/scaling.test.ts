import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { read } from '../../monitoring/monitoring-files'

describe('docs/scaling.md', function () {
  this.timeout(60_000)

  it('has the tables that node bench/scaling.ts prints', () => {
    // Compiled, this file is dist/test/unit/bench/scaling.test.js.
    const program = join(resolve(__dirname, '../../../..'), 'bench/scaling.ts')
    const tables = execFileSync(process.execPath, [program], { encoding: 'utf8' }).trim().split('\n\n')
    assert.equal(tables.length, 3)
    const page = read('docs/scaling.md')
    for (const table of tables) assert.ok(page.includes(table), table)
  })
})
