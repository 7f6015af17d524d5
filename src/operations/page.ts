import type { ServerResponse } from 'node:http'
import { BASE_STYLE } from '../pages/base-style'
import { CHART_STYLE } from '../pages/chart-style'
import { html, type Content } from '../pages/html'
import { sendPage, type Page } from '../pages/send-page'
import { styleSheet } from '../pages/style-sheet'
import { WATERFALL_STYLE } from '../pages/waterfall'
import { TRAFFIC_STYLE } from './status/traffic-charts'
import { STATUS_STYLE } from './status/style'
import { OPERATIONS_STYLE } from './style'

const STYLE = styleSheet(BASE_STYLE, WATERFALL_STYLE, CHART_STYLE, TRAFFIC_STYLE, OPERATIONS_STYLE, STATUS_STYLE)

const PLACES = [
  ['/status', 'Status'],
  ['/routes', 'Routes'],
  ['/upstreams', 'Upstreams'],
  ['/offenders', 'Limited'],
  ['/traces', 'Traces'],
  ['/traces?outcome=fault', 'Faults'],
] as const

/** Answers with a page of the ops port. @param title plain text */
export function sendOpsPage(
  response: ServerResponse,
  status: number,
  title: string,
  content: Content,
  more: Pick<Page, 'mark' | 'refreshSeconds'> = {},
): void {
  const body = html`<header class="top">
      <a href="/status">myesi-gateway</a>
      <nav>${PLACES.map(([path, name]) => html`<a href="${path}">${name}</a> `)}</nav>
    </header>
    <main>${content}</main>`
  sendPage(response, status, { title: `${title} · myesi-gateway`, body, style: STYLE, ...more })
}
