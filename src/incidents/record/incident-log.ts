import { setTimeout as sleep } from 'node:timers/promises'
import { fingerprint, type Alert } from '../alerts/alert'
import type { Change, Evidence } from '../evidence/evidence'
import { causeOf, isEndedBy, openIncident, withAlert, type Incident, type IncidentAlert } from './incident'
import type { IncidentStore } from './incident-store'

/** Maximum open incidents in memory; far more than the causes of one machine's alerts. */
const MAX_OPEN = 1_000
/** Maximum other incidents named beside one. */
const MAX_OTHERS = 3
/** Maximum incidents in memory while the store is unavailable. */
const MAX_UNSAVED = 1_000

export interface IncidentLogOptions {
  /** Called for every failure of the store. */
  readonly onStoreFailure: (error: unknown) => void
  /** Time before a failed store is tried again; default 5 s. */
  readonly retryMs?: number
}

/** An alert that was firing when the process ended, with its evidence. */
export interface RestoredAlert {
  readonly incidentId: string
  readonly alert: Alert
  readonly evidence: Evidence | undefined
}

/**
 * Assigns alerts to incidents and keeps what is known about them. Open incidents are in memory, so a store that is down
 * costs history but no evidence.
 */
export class IncidentLog {
  readonly #store: IncidentStore
  readonly #options: IncidentLogOptions
  readonly #open = new Map<string, Incident>()
  /** Incidents not stored yet, by id: only the newest state of each. */
  readonly #unsaved = new Map<string, Incident>()
  readonly #closing = new AbortController()
  #saving: Promise<void> | undefined

  constructor(store: IncidentStore, options: IncidentLogOptions) {
    this.#store = store
    this.#options = options
  }

  /** Restores the incidents that were open when the process ended. @returns their alerts that were firing then */
  async restore(): Promise<readonly RestoredAlert[]> {
    const restored: RestoredAlert[] = []
    for (const stored of await this.#stored(MAX_OPEN)) {
      if (stored.closedAtMs !== undefined || this.#open.has(stored.cause)) continue
      try {
        const incident = completed(stored)
        restored.push(...firingOf(incident))
        this.#open.set(incident.cause, incident)
      } catch (error) {
        // A record that was edited by hand must not keep the service from starting.
        this.#options.onStoreFailure(error)
      }
    }
    return restored
  }

  /** @returns the incident of the alert, created if there was none */
  fire(alert: Alert, now: number): Incident {
    const incident = this.#open.get(causeOf(alert)) ?? openIncident(alert, now)
    return this.#save(withAlert(incident, fingerprint(alert), alert, {}))
  }

  /** @returns the merged evidence: earlier findings are kept if they say more */
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
   * Ends an alert. Ignores one that is not firing here: Prometheus repeats an end for 15 minutes.
   *
   * @returns the id of its incident
   */
  resolve(alert: Alert): string | undefined {
    const key = fingerprint(alert)
    const endsAtMs = alert.endsAt === undefined ? Date.now() : Date.parse(alert.endsAt)
    const incident = this.#open.get(causeOf(alert))
    if (!incident?.alerts.some(other => other.fingerprint === key && isEndedBy(other, endsAtMs))) return undefined
    return this.#save(withAlert(incident, key, alert, { endsAtMs })).id
  }

  /** Adds findings that are known only after the alert ended. @returns all its evidence; undefined if there is none */
  async conclude(incidentId: string, alert: Alert, more: Pick<Evidence, 'lastBadMs'>): Promise<Evidence | undefined> {
    const key = fingerprint(alert)
    const startsAtMs = Date.parse(alert.startsAt)
    const isIt = (other: IncidentAlert): boolean => other.fingerprint === key && other.startsAtMs === startsAtMs
    const stored = this.#inMemory().get(incidentId) ?? (await this.#store.get(incidentId))
    // The incident may have changed while the store was read.
    const incident = this.#inMemory().get(incidentId) ?? stored
    const known = incident?.alerts.find(isIt)?.evidence
    if (incident === undefined || known === undefined) return undefined
    const evidence = { ...known, ...more }
    const alerts = incident.alerts.map(other => (isIt(other) ? { ...other, evidence } : other))
    this.#save({ ...incident, alerts })
    return evidence
  }

  /** Changes what people wrote about an incident. @returns it; undefined if there is none */
  async change(id: string, change: (incident: Incident) => Incident): Promise<Incident | undefined> {
    const stored = this.#inMemory().get(id) ?? (await this.#store.get(id))
    // The incident may have changed while the store was read.
    const incident = this.#inMemory().get(id) ?? stored
    return incident && this.#save(change(incident))
  }

  async get(id: string): Promise<Incident | undefined> {
    return this.#inMemory().get(id) ?? this.#store.get(id)
  }

  /** The first alert of each other open incident that fired in a time: perhaps a common cause. At most `MAX_OTHERS`. */
  others(alert: Alert, startMs: number, endMs: number): Change[] {
    const cause = causeOf(alert)
    const others: Change[] = []
    for (const incident of this.#open.values()) {
      if (incident.cause === cause || others.length === MAX_OTHERS) continue
      const [first] = incident.alerts.toSorted((a, b) => a.startsAtMs - b.startsAtMs)
      if (first === undefined || first.startsAtMs < startMs || first.startsAtMs > endMs) continue
      others.push({ timeMs: first.startsAtMs, what: `${incident.title} fired` })
    }
    return others
  }

  /** Open incidents first, each kind newest first. Incidents in memory are always included. */
  async list(limit: number): Promise<Incident[]> {
    const known = this.#inMemory()
    const others = (await this.#stored(limit)).filter(({ id }) => !known.has(id))
    return [...known.values(), ...others].sort(openThenNewest).slice(0, limit)
  }

  /** Tries once to store the incidents not stored yet. */
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
    // Closing an incident must not close a later one with the same cause.
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
    // Reset here, not when the promise settles: an incident saved in between would wait for the next save.
    this.#saving = undefined
  }
}

/** Fills in fields that a record of an older version lacks; JSON has no undefined. */
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

/** Adds an incident; the oldest is removed above the maximum. */
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
