import type { Exchange } from '../exchange/exchange'
import type { ParsedHeaders } from './response-headers'

/** Passes on 1xx answers (RFC 9110 §15.2) that mean something end to end. `100` never comes: `Expect` is not forwarded. */
export function passInformation({ request, response, route }: Exchange, status: number, headers: ParsedHeaders): void {
  if (request.httpVersionMinor === 0) return // HTTP/1.0 knows no 1xx
  if (status === 102) response.writeProcessing()
  const { link } = headers
  if (status !== 103 || link === undefined || route?.responseEdits?.dropped.has('link')) return
  try {
    response.writeEarlyHints({ link })
  } catch {
    // Node refuses Link values it cannot parse. Hints are optional: without them the page only loads later.
  }
}
