import type { Incident } from '../record/incident'
import type { AlertCurve } from './curves'
import type { Places } from './links'
import type { Story } from './story'

/** What the page of an incident is made of. */
export interface IncidentView {
  readonly incident: Incident
  readonly story: Story
  readonly curves: readonly AlertCurve[]
  readonly places: Places
  /** When the page is made. */
  readonly now: number
}
