import assert from 'node:assert/strict'
import { safeUrl } from '../../../src/pages/safe-url'

describe('an address in a link', () => {
  it('may be http or https', () => {
    assert.equal(safeUrl('https://example.org/a?b=c#d'), 'https://example.org/a?b=c#d')
    assert.equal(safeUrl('HTTP://EXAMPLE.org'), 'http://example.org/')
  })

  it('may be a path where there is a base, whether that ends in a slash or not', () => {
    assert.equal(safeUrl('d/x', 'http://grafana:3000'), 'http://grafana:3000/d/x')
    assert.equal(safeUrl('d/x', 'http://grafana:3000/below/'), 'http://grafana:3000/below/d/x')
  })

  it('has nothing in it that could end an attribute', () => {
    const url = safeUrl(`http://example.org/"><script>'`) ?? ''
    assert.doesNotMatch(url, /["<>]/)
  })

  for (const address of [
    undefined,
    '',
    'd/x',
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'ftp://example.org/',
    'blob:http://example.org/1',
    'http://',
    'https://grafana.example@elsewhere.example/',
    'https://user:word@example.org/',
    `https://example.org/${'x'.repeat(4_096)}`,
  ]) {
    it(`is not ${JSON.stringify(address)?.slice(0, 60)}`, () => {
      assert.equal(safeUrl(address), undefined)
      if (address !== undefined && address !== 'd/x') assert.equal(safeUrl(address, 'javascript:'), undefined)
    })
  }
})
