import { metrics, type Attributes, type Counter, type Histogram } from '@opentelemetry/api'

const SCOPE_NAME = 'myesi-incidents'

/** How it went with one alert: `partial` when something could not be asked, `none` when there was nothing to find. */
export type EvidenceResult = 'found' | 'partial' | 'none' | 'overload'

/** What the incident service says about itself; alerts on it are routed past it. */
export class IncidentMetrics {
  readonly #alerts: Counter
  readonly #evidence: Counter
  readonly #duration: Histogram
  readonly #posts: Counter

  constructor(state: () => { readonly tracked: number; readonly waiting: number; readonly unsaid: number }) {
    const meter = metrics.getMeter(SCOPE_NAME)
    this.#alerts = meter.createCounter('incidents.alerts.received', {
      unit: '{alert}',
      description: 'Alerts that Prometheus posted, by validity',
    })
    this.#evidence = meter.createCounter('incidents.evidence', {
      unit: '{alert}',
      description: 'Alerts whose evidence was gathered, by result',
    })
    this.#duration = meter.createHistogram('incidents.evidence.duration', {
      unit: 's',
      description: 'Duration of gathering the evidence of an alert',
      advice: { explicitBucketBoundaries: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] },
    })
    this.#posts = meter.createCounter('incidents.alertmanager.posts', {
      unit: '{request}',
      description: 'POSTs to each Alertmanager, by result',
    })
    const gauges: readonly [string, string, 'tracked' | 'waiting' | 'unsaid'][] = [
      ['incidents.alerts.tracked', 'Alerts that are kept track of', 'tracked'],
      ['incidents.evidence.waiting', 'Alerts that wait for their evidence', 'waiting'],
      ['incidents.alertmanager.waiting', 'Alerts that could not be handed on yet', 'unsaid'],
    ]
    for (const [name, description, key] of gauges) {
      meter.createObservableGauge(name, { unit: '{alert}', description }).addCallback(r => r.observe(state()[key]))
    }
    // Present with 0 from the start: the first failure would otherwise be invisible to rate().
    for (const result of ['found', 'partial', 'none', 'overload'] as const) this.#evidence.add(0, { result })
    for (const result of ['accepted', 'invalid'] as const) this.#alerts.add(0, { result })
  }

  received(accepted: number, invalid: number): void {
    this.#alerts.add(accepted, { result: 'accepted' })
    this.#alerts.add(invalid, { result: 'invalid' })
  }

  gathered(result: EvidenceResult, seconds?: number): void {
    this.#evidence.add(1, { result })
    if (seconds !== undefined) this.#duration.record(seconds, { result })
  }

  /** @param url one of the configured ones: the label is bounded by the configuration */
  posted(url: string, failed: boolean): void {
    const attributes: Attributes = { url, result: failed ? 'failed' : 'ok' }
    this.#posts.add(1, attributes)
  }

  /** Every Alertmanager has its series from the start. */
  announce(urls: readonly string[]): void {
    for (const url of urls) for (const result of ['ok', 'failed']) this.#posts.add(0, { url, result })
  }
}
