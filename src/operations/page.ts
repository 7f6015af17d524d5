import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { html, type Content, type Html } from './html'
import { STYLE, stylesheet } from './style'

/**
 * Nothing but our own stylesheet: no script, no image, no frame, nothing from elsewhere. Should markup of a client's ever get
 * into a page, it can do nothing there.
 */
const CONTENT_SECURITY_POLICY = [
  `default-src 'none'`,
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  `form-action 'self'`,
  `base-uri 'none'`,
  `frame-ancestors 'none'`,
].join('; ')

/** Whether HTML is preferred to JSON, as by a browser; `format=json` or `format=html` in the query says it for once. */
export function wantsHtml({ headers, url = '' }: IncomingMessage): boolean {
  const format = /[?&]format=(json|html)(?:&|$)/.exec(url)?.[1]
  if (format !== undefined) return format === 'html'
  const accept = headers.accept ?? ''
  return weight(accept, 'text/html') > weight(accept, 'application/json')
}

/** Of the media type itself: `*` is what every tool sends that has no wish. */
function weight(accept: string, type: string): number {
  const range = accept.split(',').find(entry => entry.split(';', 1)[0]?.trim().toLowerCase() === type)
  if (range === undefined) return 0
  return Number(/;\s*q=([\d.]+)/i.exec(range)?.[1] ?? 1)
}

/** @param title plain text */
export function sendPage(response: ServerResponse, status: number, title: string, content: Content): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
    Vary: 'Accept',
  })
  response.end(document(title, content).toString())
}

function document(title: string, content: Content): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · myesi-gateway</title>
        ${stylesheet()}
      </head>
      <body>
        <header>
          <a href="/">myesi-gateway</a>
          <nav><a href="/traces">Traces</a> <a href="/traces?outcome=fault">Faults</a></nav>
        </header>
        <main>${content}</main>
      </body>
    </html>`
}
