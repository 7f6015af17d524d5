import assert from 'node:assert/strict'
import { labelPairs, LabelCache } from '../../../otel/sdk/exposition/labels'

describe('writing labels', () => {
  it('sorts them by name', () => {
    assert.equal(labelPairs({ b: '2', a: '1' }), 'a="1",b="2"')
  })

  it('escapes backslash, quotation mark and newline, and nothing else', () => {
    assert.equal(labelPairs({ a: 'C:\\new "x"\n\t{},é🙂' }), 'a="C:\\\\new \\"x\\"\\n\t{},é🙂"')
  })

  it('joins the values of attributes that become one label, in the order of their own names', () => {
    assert.equal(labelPairs({ http_route: '/b', 'http.route': '/a' }), 'http_route="/a;/b"')
  })

  it('writes numbers, booleans and lists as text', () => {
    assert.equal(
      labelPairs({ a: 200, b: true, c: ['x', 'y'], d: 0.5 }),
      'a="200",b="true",c="[\\"x\\",\\"y\\"]",d="0.5"',
    )
  })

  it('leaves out what has no value', () => {
    assert.equal(labelPairs({ a: undefined, b: null, c: '' }), 'c=""')
  })

  it('writes the labels of one attributes object once', () => {
    const cache = new LabelCache()
    let reads = 0
    const attributes = {
      get route() {
        reads++
        return '/a'
      },
    }
    assert.equal(cache.pairs(attributes), 'route="/a"')
    assert.equal(cache.pairs(attributes), 'route="/a"')
    assert.equal(reads, 1)
  })
})
