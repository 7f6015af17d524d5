import type { Incident } from '../record/incident'
import type { AlertCurve } from './curves'
import type { Places } from './links'
import type { Story } from './story'

/** The input of an incident page. */
export interface IncidentView {
  readonly incident: Incident
  readonly story: Story
  readonly curves: readonly AlertCurve[]
  readonly places: Places
  /** Proves that a form came from this page. */
  readonly formToken: string
  /** When the page is rendered. */
  readonly now: number
}
