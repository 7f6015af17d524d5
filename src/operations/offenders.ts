import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './send-json'

/** Those who run into one rate limit most often. */
export interface OffenderList {
  readonly route: string
  readonly policy: string
  /** All times that the policy was exceeded since the process began. */
  readonly limited: number
  readonly httpRoute: string
  readonly offenders: readonly { readonly client: string; readonly count: number; readonly error: number }[]
}

export type OffenderReader = () => readonly OffenderList[]

const FILTERS = ['route', 'policy'] as const

/** `GET /offenders`: who runs into which limit, of this replica; `?route=orders&policy=daily` for some of them. */
export function listOffenders(read: OffenderReader, request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '/', 'http://ops').searchParams
  const unknown = [...query.keys()].find(name => !FILTERS.some(known => known === name))
  if (unknown !== undefined) {
    sendJson(response, 400, { error: `unknown parameter "${unknown}"`, allowed: FILTERS })
    return
  }
  const lists = read().filter(list => FILTERS.every(name => (query.get(name) ?? list[name]) === list[name]))
  sendJson(response, 200, { policies: lists })
}
