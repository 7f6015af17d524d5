import type { Alert } from '../alerts/alert'
import { quoted } from './prometheus'

type Labelled = Pick<Alert, 'labels'>

/** The failures an alert is about: faults, or refusals, of its own route and upstream where it names them. */
export function failureSelector(alert: Labelled): string | undefined {
  const { component, family } = alert.labels
  if (component !== 'gateway') return undefined
  const kind =
    family === 'faults'
      ? 'gateway_outcome="fault"'
      : family === 'rate-limit'
        ? 'gateway_reason="limited"'
        : family === 'refusals'
          ? 'gateway_outcome=~"refusal|client_closed",gateway_reason!="limited"'
          : undefined
  return kind === undefined ? undefined : [kind, ...ownMatchers(alert)].join(',')
}

/** What all requests to the same place have in common, failed or not. */
export function ownMatchers({ labels }: Labelled): string[] {
  return ['job', 'http_route', 'gateway_upstream_name'].flatMap(name => {
    const value = labels[name]
    return value === undefined ? [] : [`${name}=${quoted(value)}`]
  })
}
