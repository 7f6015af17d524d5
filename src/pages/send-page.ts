import type { ServerResponse } from 'node:http'
import { html, type Html } from './html'
import type { StyleSheet } from './style-sheet'

export interface Page {
  readonly title: string
  readonly body: Html
  readonly style: StyleSheet
  /** Colour of the mark on the browser's tab. */
  readonly mark?: 'bad' | 'good' | 'plain'
  /** Interval after which the browser reloads the page. */
  readonly refreshSeconds?: number
}

const MARKS = { bad: '%23d1242f', good: '%231a7f37', plain: '%2357606a' } as const

/** Answers with a whole HTML document that needs no script and loads nothing. */
export function sendPage(response: ServerResponse, status: number, page: Page): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    // The mark on the tab is the one image, and it is in the page.
    'Content-Security-Policy': `default-src 'none'; style-src ${page.style.hash}; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    ...COMMON_HEADERS,
  })
  response.end(toDocument(page).toString())
}

/** Headers of pages and their JSON, which must not be cached or shared. */
export const COMMON_HEADERS = {
  'Cache-Control': 'no-store',
  Vary: 'Accept',
  'X-Content-Type-Options': 'nosniff',
  // URLs of traces and incidents contain data that linked sites must not see.
  'Referrer-Policy': 'no-referrer',
} as const

function toDocument({ title, body, style, mark = 'plain', refreshSeconds }: Page): Html {
  const icon = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='${MARKS[mark]}'/%3E%3C/svg%3E`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        ${refreshSeconds !== undefined && html`<meta http-equiv="refresh" content="${refreshSeconds}" />`}
        <title>${title}</title>
        <link rel="icon" href="${icon}" />
        ${style.element}
      </head>
      <body>
        ${body}
      </body>
    </html> `
}
