import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { BASE_STYLE } from '../../../src/pages/base-style'
import { html } from '../../../src/pages/html'
import { sendPage } from '../../../src/pages/send-page'
import { styleSheet } from '../../../src/pages/style-sheet'

function sent(title: string): { status: number; headers: Record<string, string>; text: string } {
  let head: { status: number; headers: Record<string, string> } | undefined
  let text = ''
  const response = {
    writeHead: (status: number, headers: Record<string, string>) => void (head = { status, headers }),
    end: (body: string) => void (text = body),
  }
  const page = { title, body: html`<main>${title}</main>`, style: styleSheet(BASE_STYLE, 'p { margin: 0; }') }
  sendPage(response as unknown as ServerResponse, 404, page)
  assert.ok(head)
  return { ...head, text }
}

describe('a page', () => {
  it('allows its own style and nothing else', () => {
    const { headers, text } = sent('x')
    const style = /<style>([^]*)<\/style>/.exec(text)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    const policy = headers['Content-Security-Policy'] ?? ''
    assert.ok(style.includes('p { margin: 0; }'))
    assert.ok(policy.split('; ').includes("default-src 'none'"))
    assert.ok(policy.split('; ').includes(`style-src 'sha256-${hash}'`), policy)
    assert.doesNotMatch(policy, /unsafe|script|http/)
  })

  it('is for whoever asked, now, as what it says it is, and tells nobody where its reader was', () => {
    const { status, headers } = sent('x')
    assert.equal(status, 404)
    assert.equal(headers['Content-Type'], 'text/html; charset=utf-8')
    assert.equal(headers['Cache-Control'], 'no-store')
    assert.equal(headers['Vary'], 'Accept')
    assert.equal(headers['X-Content-Type-Options'], 'nosniff')
    assert.equal(headers['Referrer-Policy'], 'no-referrer')
  })

  it('begins with its type, says its language, and escapes its title', () => {
    const { text } = sent('</title><script>')
    assert.match(text, /^<!doctype html>\s*<html lang="en">/)
    assert.doesNotMatch(text, /<script/)
  })
})
