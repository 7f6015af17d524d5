import { setTimeout as sleep } from 'node:timers/promises'
import { fingerprint, type Alert } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import { causeOf, isEndedBy, openIncident, withAlert, type Incident, type IncidentAlert } from './incident'
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

/** An alert that fired when the process ended, with what is known of it. */
export interface RestoredAlert {
  readonly incidentId: string
  readonly alert: Alert
  readonly evidence: Evidence | undefined
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

  /** Takes up the incidents that were open when the process ended. @returns their alerts that still fired then */
  async restore(): Promise<readonly RestoredAlert[]> {
    const restored: RestoredAlert[] = []
    for (const stored of await this.#stored(MAX_OPEN)) {
      if (stored.closedAtMs !== undefined || this.#open.has(stored.cause)) continue
      try {
        const incident = completed(stored)
        restored.push(...firingOf(incident))
        this.#open.set(incident.cause, incident)
      } catch (error) {
        // Somebody edited it: that must not keep the service from starting.
        this.#options.onStoreFailure(error)
      }
    }
    return restored
  }

  /** @returns the incident the alert belongs to, opened if there was none */
  fire(alert: Alert, now: number): Incident {
    const incident = this.#open.get(causeOf(alert)) ?? openIncident(alert, now)
    return this.#save(withAlert(incident, fingerprint(alert), alert, {}))
  }

  /** @returns all that is now known: what was found before is kept where it says more */
  addEvidence(alert: Alert, evidence: Evidence): Evidence {
    const key = fingerprint(alert)
    const startsAtMs = Date.parse(alert.startsAt)
    const isIt = (other: IncidentAlert): boolean => other.fingerprint === key && other.startsAtMs === startsAtMs
    const incident = this.#open.get(causeOf(alert))
    if (!incident?.alerts.some(isIt)) return evidence
    const saved = this.#save(withAlert(incident, key, alert, { evidence }))
    return saved.alerts.find(isIt)?.evidence ?? evidence
  }

  /**
   * Takes no notice of an alert that does not fire here: Prometheus repeats an end for 15 minutes.
   *
   * @returns the id of the incident that it belonged to
   */
  resolve(alert: Alert): string | undefined {
    const key = fingerprint(alert)
    const endsAtMs = alert.endsAt === undefined ? Date.now() : Date.parse(alert.endsAt)
    const incident = this.#open.get(causeOf(alert))
    if (!incident?.alerts.some(other => other.fingerprint === key && isEndedBy(other, endsAtMs))) return undefined
    return this.#save(withAlert(incident, key, alert, { endsAtMs })).id
  }

  /** Adds what is known of an alert only once it is over. @returns all that is now known of it; undefined where nothing was */
  async conclude(incidentId: string, alert: Alert, more: Pick<Evidence, 'lastBadMs'>): Promise<Evidence | undefined> {
    const key = fingerprint(alert)
    const startsAtMs = Date.parse(alert.startsAt)
    const isIt = (other: IncidentAlert): boolean => other.fingerprint === key && other.startsAtMs === startsAtMs
    const stored = this.#inMemory().get(incidentId) ?? (await this.#store.get(incidentId))
    // It may have begun anew while the store was asked.
    const incident = this.#inMemory().get(incidentId) ?? stored
    const known = incident?.alerts.find(isIt)?.evidence
    if (incident === undefined || known === undefined) return undefined
    const evidence = { ...known, ...more }
    const alerts = incident.alerts.map(other => (isIt(other) ? { ...other, evidence } : other))
    this.#save({ ...incident, alerts })
    return evidence
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
    // What is said of one that is over must not end a later one of the same cause.
    if (this.#open.get(incident.cause)?.id === incident.id) this.#open.delete(incident.cause)
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

/** A record of an older version knows less; what is undefined is not in JSON at all. */
function completed(incident: Incident): Incident {
  const alerts = incident.alerts.map(alert =>
    alert.evidence === undefined ? alert : { ...alert, evidence: { ...NO_EVIDENCE, ...alert.evidence } },
  )
  return { ...incident, alerts }
}

const NO_EVIDENCE = { signatures: [], statuses: [], traces: [], limitedClients: [], changes: [], missing: [] }

function firingOf({ id, alerts }: Incident): RestoredAlert[] {
  return alerts
    .filter(({ endsAtMs }) => endsAtMs === undefined)
    .map(({ labels, annotations, generatorURL, startsAtMs, evidence }) => ({
      incidentId: id,
      alert: { labels, annotations, generatorURL, startsAt: new Date(startsAtMs).toISOString(), endsAt: undefined },
      evidence,
    }))
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
