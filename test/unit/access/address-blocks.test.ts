import assert from 'node:assert/strict'
import { createAddressBlocks } from '../../../src/access/address-blocks'

describe('address blocks', () => {
  const rows: readonly (readonly [blocks: readonly string[], address: string, isIn: boolean])[] = [
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['192.0.2.7'], '192.0.2.7', true],
    [['192.0.2.7'], '192.0.2.70', false],
    [['10.1.2.3/8'], '10.9.9.9', true],
    [['fd00::/8'], 'fd12::1', true],
    [['fd00::/8'], 'fe00::1', false],
    [['2001:db8::7'], '2001:0db8:0:0::0007', true],
    [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
    [['10.0.0.0/8'], '::ffff:a01:203', true],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', true],
    [['::ffff:10.0.0.0/104'], '11.1.2.3', false],
    [['::ffff:10.1.2.3'], '10.1.2.3', true],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['10.0.0.0/8', 'fd00::/8'], 'fd00::1', true],
    [['10.0.0.0/8'], 'fd00::1', false],
    [['10.0.0.0/8'], '10.0.0.1, 192.0.2.1', false],
    [['10.0.0.0/8'], 'unknown', false],
    [['10.0.0.0/8'], '', false],
    [[], '10.0.0.1', false],
  ]
  for (const [blocks, address, isIn] of rows) {
    it(`${JSON.stringify(blocks)} ${isIn ? 'have' : 'do not have'} ${JSON.stringify(address)}`, () => {
      assert.equal(createAddressBlocks(blocks)(address), isIn)
    })
  }
})
