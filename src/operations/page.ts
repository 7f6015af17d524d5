import type { ServerResponse } from 'node:http'
import { BASE_STYLE } from '../pages/base-style'
import { CHART_STYLE } from '../pages/chart-style'
import { html, type Content } from '../pages/html'
import { OVERVIEW_STYLE } from '../pages/overview-style'
import { sendPage, type Page } from '../pages/send-page'
import { styleSheet } from '../pages/style-sheet'
import { TABLE_STYLE } from '../pages/table-style'
import { TOP_STYLE } from '../pages/top-style'
import { WATERFALL_STYLE } from '../pages/waterfall'
import { TRAFFIC_STYLE } from './status/traffic-charts'
import { STATUS_STYLE } from './status/style'
import { OPERATIONS_STYLE } from './style'

const STYLE = styleSheet(
  BASE_STYLE,
  WATERFALL_STYLE,
  CHART_STYLE,
  TRAFFIC_STYLE,
  TOP_STYLE,
  OPERATIONS_STYLE,
  TABLE_STYLE,
  OVERVIEW_STYLE,
  STATUS_STYLE,
)

const PLACES = [
  ['/status', 'Status'],
  ['/routes', 'Routes'],
  ['/upstreams', 'Upstreams'],
  ['/offenders', 'Limited'],
  ['/traces', 'Traces'],
  ['/traces?outcome=fault', 'Faults'],
] as const

const CURRENT = html`aria-current="page"`

/** The place that an address belongs to: a route's curves to the status page, one trace to the traces. */
function placeOf(url: string): string | undefined {
  const [path = '', query = ''] = url.split('?', 2)
  const isFaults = path === '/traces' && new URLSearchParams(query).get('outcome') === 'fault'
  if (isFaults) return '/traces?outcome=fault'
  return PLACES.map(([place]) => place).find(place => path === place || path.startsWith(`${place}/`))
}

/** Answers with a page of the ops port. @param title plain text */
export function sendOpsPage(
  response: ServerResponse,
  status: number,
  title: string,
  content: Content,
  more: Pick<Page, 'mark' | 'refreshSeconds'> = {},
): void {
  const here = placeOf(response.req?.url ?? '')
  const body = html`<header class="top">
      <a href="/status">myesi-gateway</a>
      <nav>${PLACES.map(([path, name]) => html`<a href="${path}" ${path === here && CURRENT}>${name}</a> `)}</nav>
    </header>
    <main>${content}</main>`
  sendPage(response, status, { title: `${title} · myesi-gateway`, body, style: STYLE, ...more })
}
