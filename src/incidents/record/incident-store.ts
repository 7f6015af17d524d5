import type { Incident } from './incident'

/** Maximum number and age of stored incidents; the oldest are removed first. */
export const MAX_INCIDENTS = 500
export const MAX_AGE_MS = 30 * 86_400_000

/** A store of incidents: Redis or a folder. One contract suite tests both. */
export interface IncidentStore {
  put(incident: Incident): Promise<void>
  get(id: string): Promise<Incident | undefined>
  /** Newest first. */
  list(limit: number): Promise<Incident[]>
  close(): Promise<void>
}

const ID = /^[0-9a-z]{1,16}-[0-9a-f]{8}$/

/** Ids come from URLs, so only valid ones may become a key or a file name. */
export function isIncidentId(id: string): boolean {
  return ID.test(id)
}

/** Parses a stored incident; undefined if it is invalid: one record edited by hand must not break the whole list. */
export function parseIncident(json: string): Incident | undefined {
  try {
    const found = JSON.parse(json) as Partial<Incident> | null
    return typeof found?.id === 'string' && Array.isArray(found.alerts) ? (found as Incident) : undefined
  } catch {
    return undefined
  }
}
