import { fingerprint, type Alert } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import { causeOf, openIncident, withAlert, type Incident } from './incident'
import type { IncidentStore } from './incident-store'

/** Open incidents held in memory; far more than one machine's alerts can have causes. */
const MAX_OPEN = 1_000

/**
 * Which alert belongs to which incident, and what is known of it. The open incidents are here, so that a store that is down
 * costs history and never evidence.
 */
export class IncidentLog {
  readonly #store: IncidentStore
  readonly #onStoreFailure: (error: unknown) => void
  readonly #open = new Map<string, Incident>()
  /** Writes of one incident in the order in which they were made. */
  #writing: Promise<void> = Promise.resolve()

  constructor(store: IncidentStore, onStoreFailure: (error: unknown) => void) {
    this.#store = store
    this.#onStoreFailure = onStoreFailure
  }

  /** Takes up the incidents that were open when the process ended. */
  async restore(): Promise<void> {
    try {
      for (const incident of await this.#store.list(MAX_OPEN)) {
        if (incident.closedAtMs === undefined && !this.#open.has(incident.cause))
          this.#open.set(incident.cause, incident)
      }
    } catch (error) {
      this.#onStoreFailure(error)
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
    for (const incident of this.#open.values()) if (incident.id === id) return incident
    return this.#store.get(id)
  }

  async list(limit: number): Promise<Incident[]> {
    try {
      return await this.#store.list(limit)
    } catch (error) {
      this.#onStoreFailure(error)
      return [...this.#open.values()].sort((a, b) => b.openedAtMs - a.openedAtMs).slice(0, limit)
    }
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#store.close()
  }

  #save(incident: Incident): Incident {
    if (incident.closedAtMs !== undefined) this.#open.delete(incident.cause)
    else {
      if (this.#open.size >= MAX_OPEN) this.#open.delete(this.#open.keys().next().value ?? '')
      this.#open.set(incident.cause, incident)
    }
    this.#writing = this.#writing.then(() => this.#store.put(incident)).catch(this.#onStoreFailure)
    return incident
  }
}
