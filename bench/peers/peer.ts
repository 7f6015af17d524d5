import type { Row } from '../rows.ts'
import type { Surroundings } from '../subjects.ts'

/**
 * Another gateway in its minimal configuration, with its own metrics, JSON access log and 1 % of its traces as far as
 * supported.
 */
export interface Peer {
  readonly plain: Row
  readonly observed?: Row
}

export type FindPeer = (surroundings: Surroundings) => Promise<Peer>
