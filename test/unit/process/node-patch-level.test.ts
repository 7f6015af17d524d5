import assert from 'node:assert/strict'
import { nodeWarning } from '../../../src/process/node-patch-level'

describe('a version of Node', () => {
  it('with all known security fixes starts without a warning', () => {
    for (const version of ['22.23.4', '24.22.1', '24.23.0', '26.12.1', '28.0.0'])
      assert.equal(nodeWarning(version), undefined)
  })

  it('that lacks some, or whose line has ended, is warned of', () => {
    for (const version of ['22.23.3', '24.22.0', '24.18.1', '25.9.0', '26.10.0']) {
      assert.match(nodeWarning(version) ?? '', /lacks security fixes: 22\.23\.4, 24\.22\.1, 26\.12\.1 or later/)
    }
  })
})
