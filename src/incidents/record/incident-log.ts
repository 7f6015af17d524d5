import { setTimeout as sleep } from 'node:timers/promises'
import { fingerprint, type Alert } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import { causeOf, openIncident, withAlert, type Incident } from './incident'
import type { IncidentStore } from './incident-store'

/** Open incidents held in memory; far more than one machine's alerts can have causes. */
const MAX_OPEN = 1_000
/** Incidents held in memory until a store that is down takes them. */
const MAX_UNSAVED = 1_000

export interface IncidentLogOptions {
  /** Told of every failure of the store. */
  readonly onStoreFailure: (error: unknown) => void
  /** How long to wait before a store that failed is asked again; default 5 s. */
  readonly retryMs?: number
}

/**
 * Which alert belongs to which incident, and what is known of it. The open incidents are here, so that a store that is down
 * costs history and never evidence.
 */
export class IncidentLog {
  readonly #store: IncidentStore
  readonly #options: IncidentLogOptions
  readonly #open = new Map<string, Incident>()
  /** What the store has not got yet, by id: the newest state of each alone, however often it changed meanwhile. */
  readonly #unsaved = new Map<string, Incident>()
  readonly #closing = new AbortController()
  #saving: Promise<void> | undefined

  constructor(store: IncidentStore, options: IncidentLogOptions) {
    this.#store = store
    this.#options = options
  }

  /** Takes up the incidents that were open when the process ended. */
  async restore(): Promise<void> {
    for (const incident of await this.#stored(MAX_OPEN)) {
      if (incident.closedAtMs === undefined && !this.#open.has(incident.cause)) this.#open.set(incident.cause, incident)
    }
  }

  /** @returns the incident the alert belongs to, opened if there was none */
  fire(alert: Alert, now: number): Incident {
    const incident = this.#open.get(causeOf(alert)) ?? openIncident(alert, now)
    return this.#save(withAlert(incident, fingerprint(alert), alert, {}))
  }

  addEvidence(alert: Alert, evidence: Evidence): void {
    const incident = this.#open.get(causeOf(alert))
    if (incident) this.#save(withAlert(incident, fingerprint(alert), alert, { evidence }))
  }

  resolve(alert: Alert): void {
    const incident = this.#open.get(causeOf(alert))
    if (!incident) return
    const endsAtMs = alert.endsAt === undefined ? Date.now() : Date.parse(alert.endsAt)
    this.#save(withAlert(incident, fingerprint(alert), alert, { endsAtMs }))
  }

  async get(id: string): Promise<Incident | undefined> {
    return this.#inMemory().get(id) ?? this.#store.get(id)
  }

  /** Those that are open first, each kind newest first. What is in memory is there in any case. */
  async list(limit: number): Promise<Incident[]> {
    const known = this.#inMemory()
    const others = (await this.#stored(limit)).filter(({ id }) => !known.has(id))
    return [...known.values(), ...others].sort(openThenNewest).slice(0, limit)
  }

  /** Hands the store what it has not got yet, once. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#saving
    await this.#store.close()
  }

  #inMemory(): Map<string, Incident> {
    const open = [...this.#open.values()].map(incident => [incident.id, incident] as const)
    return new Map([...open, ...this.#unsaved])
  }

  async #stored(limit: number): Promise<Incident[]> {
    try {
      return await this.#store.list(limit)
    } catch (error) {
      this.#options.onStoreFailure(error)
      return []
    }
  }

  #save(incident: Incident): Incident {
    this.#open.delete(incident.cause)
    if (incident.closedAtMs === undefined) keep(this.#open, incident.cause, incident, MAX_OPEN)
    this.#unsaved.delete(incident.id)
    keep(this.#unsaved, incident.id, incident, MAX_UNSAVED)
    this.#saving ??= this.#saveAll()
    return incident
  }

  async #saveAll(): Promise<void> {
    for (let next = first(this.#unsaved); next !== undefined; next = first(this.#unsaved)) {
      try {
        await this.#store.put(next)
        if (this.#unsaved.get(next.id) === next) this.#unsaved.delete(next.id)
      } catch (error) {
        this.#options.onStoreFailure(error)
        if (this.#closing.signal.aborted) break
        await sleep(this.#options.retryMs ?? 5_000, undefined, { signal: this.#closing.signal }).catch(() => undefined)
      }
    }
    // Here and not when the promise is settled: what is saved in between would wait for whatever comes next.
    this.#saving = undefined
  }
}

/** The oldest goes when there are too many. */
function keep(map: Map<string, Incident>, key: string, incident: Incident, max: number): void {
  const oldest = map.keys().next().value
  if (map.size >= max && oldest !== undefined) map.delete(oldest)
  map.set(key, incident)
}

function first(incidents: ReadonlyMap<string, Incident>): Incident | undefined {
  return incidents.values().next().value
}

function openThenNewest(a: Incident, b: Incident): number {
  return Number(a.closedAtMs !== undefined) - Number(b.closedAtMs !== undefined) || b.openedAtMs - a.openedAtMs
}
