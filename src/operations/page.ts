import type { ServerResponse } from 'node:http'
import { BASE_STYLE } from '../page/base-style'
import { html, type Content } from '../page/html'
import { sendPage } from '../page/send-page'
import { styleSheet } from '../page/style-sheet'
import { WATERFALL_STYLE } from '../page/waterfall'
import { OPERATIONS_STYLE } from './style'

const STYLE = styleSheet(BASE_STYLE, WATERFALL_STYLE, OPERATIONS_STYLE)

/** Answers with a page of the ops port. @param title plain text */
export function sendOpsPage(response: ServerResponse, status: number, title: string, content: Content): void {
  const body = html`<header class="top">
      <a href="/">myesi-gateway</a>
      <nav><a href="/traces">Traces</a> <a href="/traces?outcome=fault">Faults</a></nav>
    </header>
    <main>${content}</main>`
  sendPage(response, status, { title: `${title} · myesi-gateway`, body, style: STYLE })
}
