import { propagation } from '@opentelemetry/api'

const W3C = ['traceparent', 'tracestate']
/** Both forms: whoever reads one of them reads the other as well. */
const B3 = ['b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags']

/** Request fields in which a caller's trace or baggage can be found, by the propagators in force; lower case. */
export function readTraceFields(): readonly string[] {
  const fields = propagation.fields()
  // The propagator for B3 names only the fields that it writes.
  return fields.some(field => B3.includes(field)) ? [...new Set([...fields, ...B3])] : fields
}

/**
 * Request fields that must not reach the upstream beside ours. With our own trace in any format, a caller's trace in
 * another one would contradict it: some upstreams would continue the one, some the other. None without a propagator: then
 * the caller's fields are all there is.
 */
export function replacedTraceFields(): ReadonlySet<string> {
  const fields = propagation.fields()
  const carriesTrace = fields.some(field => W3C.includes(field) || B3.includes(field))
  return new Set(carriesTrace ? [...fields, ...W3C, ...B3] : fields)
}
