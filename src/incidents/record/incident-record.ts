import type { Labels } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import type { Acknowledgement, Note } from './notes'

/** The stored data of one incident, so that evidence outlives the traces. */
export interface Incident {
  readonly id: string
  /** The common cause that alerts need to belong to this incident. */
  readonly cause: string
  readonly title: string
  readonly openedAtMs: number
  /** Set when the last of its alerts is resolved. */
  readonly closedAtMs: number | undefined
  readonly alerts: readonly IncidentAlert[]
  /** Absent until someone works on it. */
  readonly acknowledged?: Acknowledgement | undefined
  /** At most `MAX_NOTES`, oldest first; absent: none. */
  readonly notes?: readonly Note[] | undefined
}

export interface IncidentAlert {
  readonly fingerprint: string
  readonly labels: Labels
  readonly annotations: Labels
  /** Link to the alert's rule in Prometheus. Comes from outside, as labels and annotations do. */
  readonly generatorURL: string
  readonly startsAtMs: number
  readonly endsAtMs: number | undefined
  readonly evidence: Evidence | undefined
}
