import type { Row } from '../rows.ts'
import type { Surroundings } from '../subjects.ts'

/** Another gateway: as small as it gets, and with its own metrics, JSON access log and 1 % of its traces as far as it has them. */
export interface Peer {
  readonly plain: Row
  readonly observed?: Row
}

export type FindPeer = (surroundings: Surroundings) => Promise<Peer>
