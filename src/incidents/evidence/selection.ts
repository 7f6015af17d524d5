import type { Alert } from '../alerts/alert'
import { quoted } from './prometheus'

type Labelled = Pick<Alert, 'labels'>

/** The selector of the failures an alert is about: faults or refusals, of its route and upstream if it names them. */
export function failureSelector(alert: Labelled): string | undefined {
  const { component, family } = alert.labels
  if (component !== 'gateway') return undefined
  const kind = KINDS.get(family ?? '')
  return kind === undefined ? undefined : [kind, ...ownMatchers(alert)].join(',')
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ['faults', 'gateway_outcome="fault"'],
  ['canary', 'gateway_outcome="fault"'],
  ['rate-limit', 'gateway_reason="limited"'],
  ['load', 'gateway_reason="shed"'],
  ['refusals', 'gateway_outcome=~"refusal|client_closed",gateway_reason!~"limited|draining|maintenance|shed"'],
])

/** The failures of the alert's kind among counted requests; their labels are those of `gateway_requests_total`. */
export function failuresAmong<Counted extends Labelled>(alert: Labelled, counted: readonly Counted[]): Counted[] {
  const isFailure = FAILURES.get(alert.labels['family'] ?? '')
  return isFailure === undefined ? [] : counted.filter(({ labels }) => isFailure(labels))
}

/** The same selections as in `KINDS`, for requests that were counted for several purposes at once. */
const FAILURES: ReadonlyMap<string, (labels: Alert['labels']) => boolean> = new Map([
  ['faults', isFault],
  ['canary', isFault],
  ['rate-limit', ({ gateway_reason: reason }) => reason === 'limited'],
  ['load', ({ gateway_reason: reason }) => reason === 'shed'],
  [
    'refusals',
    ({ gateway_outcome: outcome = '', gateway_reason: reason = '' }) =>
      ['refusal', 'client_closed'].includes(outcome) &&
      !['limited', 'draining', 'maintenance', 'shed'].includes(reason),
  ],
])

function isFault({ gateway_outcome: outcome }: Alert['labels']): boolean {
  return outcome === 'fault'
}

/**
 * The query that counts all requests of the alert's route and upstream by how they ended. All counts of an alert come
 * from it, so that each needs no query of its own.
 */
export function requestsByOutcome(alert: Labelled): string {
  const own = ownMatchers(alert).join(',')
  return `sum by (http_route, gateway_upstream_name, gateway_outcome, gateway_reason) (gateway_requests_total{${own}})`
}

/** Whether all failures of the alert have one reason: the comparison is then with all requests. */
export function isOfOneReason({ labels: { family } }: Labelled): boolean {
  return family === 'rate-limit' || family === 'load'
}

/** Matchers for the statuses of the responses: the histogram that counts them has neither upstream nor reason. */
export function answerMatchers(alert: Labelled): { readonly failed: string; readonly all: string } | undefined {
  const { component, family } = alert.labels
  const kind = component === 'gateway' ? ANSWERS.get(family ?? '') : undefined
  if (kind === undefined) return undefined
  const { gateway_upstream_name: _upstream, ...labels } = alert.labels
  const all = ownMatchers({ labels })
  return { failed: [kind, ...all].join(','), all: all.join(',') }
}

/** 429 has its own alert; 503 without a fault means a busy upstream that was not asked. */
const ANSWERS: ReadonlyMap<string, string> = new Map([
  ['faults', 'error_type!=""'],
  ['canary', 'error_type!=""'],
  ['refusals', 'error_type="",http_response_status_code=~"4..|503",http_response_status_code!="429"'],
])

/** Matchers of all requests to the same route and upstream, failed or not. */
export function ownMatchers({ labels }: Labelled): string[] {
  return ['job', 'instance', 'http_route', 'gateway_upstream_name', 'gateway_variant'].flatMap(name => {
    const value = labels[name]
    return value === undefined ? [] : [`${name}=${quoted(value)}`]
  })
}
