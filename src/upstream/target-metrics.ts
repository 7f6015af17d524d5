import type { Attributes, Counter, ObservableGauge } from '@opentelemetry/api'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { targetsEnded } from './ended-targets'

interface ObservedTarget {
  readonly labels: Attributes
  readonly isAvailable: boolean
  readonly activeCalls: number
}

/** The state that is read when metrics are collected. */
interface ObservedUpstream {
  readonly name: string
  readonly targets: readonly ObservedTarget[]
  readonly isPanicking: boolean
}

/** Upstreams of the active configuration, which bounds their number. */
const observed = new Set<ObservedUpstream>()
let ejections: Counter | undefined
let checks: Counter | undefined
let lookups: Counter | undefined

export function observeTargets(upstream: ObservedUpstream): void {
  // Created with the first upstream, because no collector is registered yet when this module is loaded.
  ejections ??= createInstruments()
  observed.add(upstream)
  // Start each series at 0: `rate()` does not see the first increment of a new series.
  for (const target of upstream.targets) {
    for (const cause of ['circuit', 'health_check']) ejections.add(0, { ...target.labels, [semconv.ATTR_CAUSE]: cause })
  }
}

export function stopObserving(upstream: ObservedUpstream): void {
  observed.delete(upstream)
  targetsEnded(upstream.targets, isObserved)
}

function isObserved(address: Attributes): boolean {
  const { [semconv.ATTR_SERVER_ADDRESS]: host, [semconv.ATTR_SERVER_PORT]: port } = address
  for (const { targets } of observed) {
    for (const { labels } of targets) {
      if (labels[semconv.ATTR_SERVER_ADDRESS] === host && labels[semconv.ATTR_SERVER_PORT] === port) return true
    }
  }
  return false
}

export function countCheck(target: ObservedTarget, hasPassed: boolean): void {
  checks?.add(1, { ...target.labels, [semconv.ATTR_HEALTH_CHECK_RESULT]: hasPassed ? 'passed' : 'failed' })
}

export function countLookup(target: ObservedTarget, isResolved: boolean): void {
  lookups?.add(1, { ...target.labels, [semconv.ATTR_LOOKUP_RESULT]: isResolved ? 'resolved' : 'failed' })
}

/** Counts the ejection of a target. */
export function countEjection(target: ObservedTarget, cause: 'circuit' | 'health_check'): void {
  ejections?.add(1, { ...target.labels, [semconv.ATTR_CAUSE]: cause })
}

function createInstruments(): Counter {
  const meter = gatewayMeter()
  const ofTargets = (gauge: ObservableGauge, read: (target: ObservedTarget) => number): void =>
    gauge.addCallback(result => {
      for (const { targets } of observed) for (const target of targets) result.observe(read(target), target.labels)
    })
  ofTargets(
    meter.createObservableGauge(semconv.METRIC_UPSTREAM_TARGET_HEALTHY, {
      description: '1 while the target gets its share of requests, 0 while it is ejected',
    }),
    target => (target.isAvailable ? 1 : 0),
  )
  ofTargets(
    meter.createObservableGauge(semconv.METRIC_UPSTREAM_TARGET_ACTIVE_REQUESTS, {
      unit: '{request}',
      description: 'Calls to the target in progress, including those that wait for a connection',
    }),
    target => target.activeCalls,
  )
  meter
    .createObservableGauge(semconv.METRIC_UPSTREAM_PANIC, {
      description: '1 while so few targets are healthy that all of them get requests',
    })
    .addCallback(result => {
      for (const { name, isPanicking } of observed) {
        result.observe(isPanicking ? 1 : 0, { [semconv.ATTR_UPSTREAM_NAME]: name })
      }
    })
  checks = meter.createCounter(semconv.METRIC_UPSTREAM_HEALTH_CHECKS, {
    unit: '{check}',
    description: 'Health checks of targets',
  })
  lookups = meter.createCounter(semconv.METRIC_UPSTREAM_NAME_LOOKUPS, {
    unit: '{lookup}',
    description: 'Look-ups of the names of targets',
  })
  return meter.createCounter(semconv.METRIC_UPSTREAM_TARGET_EJECTIONS, {
    unit: '{ejection}',
    description: 'Ejections of a target, by what detected the failure',
  })
}
