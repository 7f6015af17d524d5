import type { IncomingMessage, ServerResponse } from 'node:http'
import { wantsHtml } from '../pages/wants-html'
import { sendOpsPage } from './page'
import { sendJson } from './send-json'
import { upstreamsPage } from './upstreams-page'

/** One upstream as this replica sees it now. */
export interface UpstreamState {
  readonly name: string
  /** So few targets are well that all of them are asked. */
  readonly panicking: boolean
  readonly targets: readonly TargetState[]
}

export interface TargetState {
  readonly target: string
  /** Whether it gets its share of requests. */
  readonly healthy: boolean
  /** Absent where nothing counts its failures. */
  readonly circuit?: 'closed' | 'open' | 'half_open'
  /** Absent without `healthCheck`. */
  readonly healthCheck?: { readonly healthy: boolean; readonly lastFailure: string | null }
  /** Absent where the target is an address. */
  readonly name?: { readonly addresses: readonly string[]; readonly lastFailure: string | null }
  /** Calls under way, those that wait for a connection included. */
  readonly activeCalls: number
  readonly connections: { readonly open: number; readonly free: number; readonly waitingCalls: number }
}

export type UpstreamReader = () => readonly UpstreamState[]

/** `GET /upstreams`: how the targets are. */
export function listUpstreams(read: UpstreamReader, request: IncomingMessage, response: ServerResponse): void {
  if (wantsHtml(request)) sendOpsPage(response, 200, 'Upstreams', upstreamsPage(read()))
  else sendJson(response, 200, { upstreams: read() })
}
