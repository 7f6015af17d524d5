import type { Incident } from './incident'

/** Incidents kept, the oldest go first; and for how long. */
export const MAX_INCIDENTS = 500
export const MAX_AGE_MS = 30 * 86_400_000

/** Where incidents are remembered: Redis, or a folder. One contract suite runs on both. */
export interface IncidentStore {
  put(incident: Incident): Promise<void>
  get(id: string): Promise<Incident | undefined>
  /** Newest first. */
  list(limit: number): Promise<Incident[]>
  close(): Promise<void>
}

const ID = /^[0-9a-z]{1,16}-[0-9a-f]{8}$/

/** Ids come from URLs: nothing else may become a key or a file name. */
export function isIncidentId(id: string): boolean {
  return ID.test(id)
}

/** What a store gave back; undefined when it is no incident: a file that somebody edited must not cost the whole list. */
export function parseIncident(json: string): Incident | undefined {
  try {
    const found = JSON.parse(json) as Partial<Incident> | null
    return typeof found?.id === 'string' && Array.isArray(found.alerts) ? (found as Incident) : undefined
  } catch {
    return undefined
  }
}
