import assert from 'node:assert/strict'
import { parseList } from '../../support/structured-fields'

const REFUSED = [
  '"open',
  '"a" "b"',
  '"a",',
  '"a"; R=1',
  '"a"; r=',
  '"a"; r=1.2345',
  '"a"; r=1234567890123456',
  '"a"; r=1e3',
  '"ü"',
  '"\\n"',
]

describe('the parser of structured fields', () => {
  it('reads lists of items with parameters, over several lines', () => {
    const [first, second] = parseList(['"a \\" b"; q=10;w=-1.5', 'token;flag; k=:AQI=:'])
    assert.deepEqual(first?.item, { type: 'string', value: 'a " b' })
    assert.deepEqual(first?.parameters.get('q'), { type: 'integer', value: 10 })
    assert.deepEqual(first?.parameters.get('w'), { type: 'decimal', value: -1.5 })
    assert.deepEqual(second?.item, { type: 'token', value: 'token' })
    assert.deepEqual(second?.parameters.get('flag'), { type: 'boolean', value: true })
    assert.deepEqual(second?.parameters.get('k'), { type: 'bytes', value: Buffer.from([1, 2]) })
    assert.deepEqual(parseList([]), [])
  })

  for (const text of REFUSED) {
    it(`refuses ${text}`, () => {
      assert.throws(() => parseList([text]), SyntaxError)
    })
  }
})
