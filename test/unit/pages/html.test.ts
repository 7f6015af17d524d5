import assert from 'node:assert/strict'
import { html } from '../../../src/pages/html'

describe('html``', () => {
  it('escapes what could end a text or a quoted attribute', () => {
    const hostile = `<script>&"'\``
    assert.equal(
      html`<p title="${hostile}">${hostile}</p>`.toString(),
      '<p title="&#60;script&#62;&#38;&#34;&#39;&#96;">&#60;script&#62;&#38;&#34;&#39;&#96;</p>',
    )
  })

  it('shows what would turn the writing round or hide, and keeps line ends', () => {
    const hidden = '\u0000\u0007\u001b[31m\u202egnp\u2066\u200f\u061c\ud800'
    assert.equal(html`${hidden}`.toString(), '\ufffd\ufffd\ufffd[31m\ufffdgnp\ufffd\ufffd\ufffd\ufffd')
    assert.equal(html`${'a\tb\nc 🚀 é 中'}`.toString(), 'a\tb\nc 🚀 é 中')
  })

  it('takes markup of its own as it is, also in lists', () => {
    const items = ['a', '<b>'].map(item => html`<li>${item}</li>`)
    assert.equal(html`${items}`.toString(), '<li>a</li><li>&#60;b&#62;</li>')
  })

  it('writes numbers, and nothing for what is not there', () => {
    assert.equal(html`${0}|${undefined}|${false}|${''}|${[]}`.toString(), '0||||')
  })

  it('is not fooled by an object that looks like markup', () => {
    const fake = { toString: () => '<script>' } as unknown as string
    assert.throws(() => html`<p>${fake}</p>`.toString())
  })
})
