import assert from 'node:assert/strict'
import { wantsHtml } from '../../../src/pages/wants-html'

function asks(accept: string | undefined, url = '/traces'): boolean {
  return wantsHtml({ headers: { accept }, url })
}

describe('whether a page is wanted', () => {
  for (const [accept, isWanted] of [
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', true],
    ['TEXT/HTML', true],
    ['text/html;q=0.5, application/json;q=0.4', true],
    ['text/html;q=0.4, application/json;q=0.5', false],
    ['text/html;q=0', false],
    ['application/json', false],
    ['*/*', false],
    ['', false],
    [undefined, false],
    ['text/htmlx', false],
  ] as const) {
    it(`is ${isWanted} for Accept: ${accept}`, () => assert.equal(asks(accept), isWanted))
  }

  it('can be said in the query', () => {
    assert.equal(asks('text/html', '/traces?format=json'), false)
    assert.equal(asks('*/*', '/traces?outcome=fault&format=html'), true)
    assert.equal(asks('*/*', '/traces?format=htmlx'), false)
  })
})
