import type { Labels } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'

/** What is remembered of one cause, so that the evidence outlives the traces. */
export interface Incident {
  readonly id: string
  /** What alerts must have in common to belong here. */
  readonly cause: string
  readonly title: string
  readonly openedAtMs: number
  /** Set when the last of its alerts is resolved. */
  readonly closedAtMs: number | undefined
  readonly alerts: readonly IncidentAlert[]
}

export interface IncidentAlert {
  readonly fingerprint: string
  readonly labels: Labels
  readonly annotations: Labels
  /** Where the alert's rule can be seen in Prometheus. Comes from outside, as labels and annotations do. */
  readonly generatorURL: string
  readonly startsAtMs: number
  readonly endsAtMs: number | undefined
  readonly evidence: Evidence | undefined
}
