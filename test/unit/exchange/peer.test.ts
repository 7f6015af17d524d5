import assert from 'node:assert/strict'
import { plainAddress } from '../../../src/exchange/peer'

describe('an address', () => {
  const PLAIN: Readonly<Record<string, string>> = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '2001:db8::1': '2001:db8::1',
    '::ffff:1': '::ffff:1',
    '': '',
  }
  for (const [address, plain] of Object.entries(PLAIN)) {
    it(`${JSON.stringify(address)} has one spelling: ${JSON.stringify(plain)}`, () => {
      assert.equal(plainAddress(address), plain)
    })
  }
})
