import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { runProcess } from '../../support/start-process'

/** Compiled, this file is dist/test/unit/bench/policy-cost.test.js. */
const PROGRAM = resolve(__dirname, '../../../../bench/policy-cost.ts')

describe('the cost of an empty policy', () => {
  it('is measured by itself, in nanoseconds per request', async () => {
    const args = [PROGRAM, '--exchanges', '5000', '--rounds', '3']
    const child = await runProcess({ name: 'bench', path: process.execPath, args })
    const costs = child.lines.flatMap(line => (/ (\d+) ns \(/.exec(line)?.slice(1) ?? []).map(Number))
    assert.equal(costs.length, 4, child.lines.join('\n'))
    // A hundred times what an idle machine needs.
    assert.ok(
      costs.every(cost => cost > 0 && cost < 200_000),
      child.lines.join('\n'),
    )
  })
})
