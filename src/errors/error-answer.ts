import accepts from 'accepts'
import type { IncomingMessage } from 'node:http'
import {
  DEFAULT_ERROR_PAGE,
  plainError,
  renderErrorPage,
  type ErrorPage,
  type ErrorPageValues,
} from '../exchange/error-page'
import { problemDetails } from './problem-details'

/** How errors are answered. */
export interface ErrorAnswers {
  /** Page for browsers where the route has none; undefined: the gateway's own. */
  readonly page: ErrorPage | undefined
  /** Name in `Proxy-Status`; undefined: the field is not sent. */
  readonly proxyName: string | undefined
}

export interface Representation {
  readonly contentType: string
  readonly body: string
}

/** Offered in this order: of two that a client likes equally, the first is sent. */
const OFFERED = ['application/problem+json', 'application/json', 'text/plain', 'text/html'] as const

/**
 * The body of an error in the form that the client prefers (RFC 9110 §12.5.1). Problem details (RFC 9457) for clients without
 * a preference and for those that accept none of the others: an error must never become a 406.
 */
export function errorRepresentation(
  request: IncomingMessage,
  values: ErrorPageValues,
  members: Readonly<Record<string, unknown>> | undefined,
  page: ErrorPage = DEFAULT_ERROR_PAGE,
): Representation {
  const type = preferred(request)
  if (type === 'text/html') return { contentType: 'text/html; charset=utf-8', body: renderErrorPage(page, values) }
  if (type === 'text/plain') return { contentType: 'text/plain; charset=utf-8', body: plainError(values) }
  return { contentType: 'application/problem+json', body: problemDetails(values.reason, values.traceId, members) }
}

function preferred(request: IncomingMessage): (typeof OFFERED)[number] | false {
  const { accept } = request.headers
  // Most API clients: no reason to sort a list.
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return false
  return accepts(request).type([...OFFERED]) as (typeof OFFERED)[number] | false
}
