import type { Counter } from '@opentelemetry/api'
import { gatewayMeter } from '../../telemetry/scope'
import * as semconv from '../../telemetry/semconv'
import type { TargetSource } from '../../config/values/target-source'

interface ObservedSource {
  readonly upstream: string
  readonly source: TargetSource
  readonly targets: readonly unknown[]
  readonly lastFailure: string | undefined
}

interface Observed {
  readonly sources: Iterable<ObservedSource>
}

/** One for each gateway in the process. */
const observed = new Set<Observed>()
let discoveries: Counter | undefined

export function observeDiscovery(discovery: Observed): void {
  // Created with the first source, because no collector is registered yet when this module is loaded.
  discoveries ??= createInstruments()
  observed.add(discovery)
  // Start each series at 0: `rate()` does not see the first increment of a new series.
  for (const source of discovery.sources) for (const result of ['changed', 'failed']) add(source, result, 0)
}

export function stopObservingDiscovery(discovery: Observed): void {
  observed.delete(discovery)
}

export function countDiscovery(source: ObservedSource, result: 'changed' | 'failed'): void {
  add(source, result, 1)
}

function add({ upstream, source }: ObservedSource, result: string, count: number): void {
  discoveries?.add(count, {
    [semconv.ATTR_UPSTREAM_NAME]: upstream,
    [semconv.ATTR_DISCOVERY_SOURCE]: source.kind,
    [semconv.ATTR_DISCOVERY_RESULT]: result,
  })
}

function createInstruments(): Counter {
  const meter = gatewayMeter()
  const perUpstream = (read: (sources: readonly ObservedSource[]) => number): [string, number][] => {
    const sources = [...observed].flatMap(discovery => [...discovery.sources])
    return [...Map.groupBy(sources, ({ upstream }) => upstream)].map(([name, group]) => [name, read(group)])
  }
  meter
    .createObservableGauge(semconv.METRIC_UPSTREAM_DISCOVERED_TARGETS, {
      unit: '{target}',
      description: 'Targets that the sources of an upstream list',
    })
    .addCallback(result => {
      const counts = perUpstream(sources => sources.reduce((sum, { targets }) => sum + targets.length, 0))
      for (const [name, count] of counts) result.observe(count, { [semconv.ATTR_UPSTREAM_NAME]: name })
    })
  meter
    .createObservableGauge(semconv.METRIC_UPSTREAM_DISCOVERY_SUCCESSFUL, {
      description: '1 if the last look at every source of the upstream succeeded, 0 while old lists are kept',
    })
    .addCallback(result => {
      const results = perUpstream(sources => (sources.every(({ lastFailure }) => lastFailure === undefined) ? 1 : 0))
      for (const [name, value] of results) result.observe(value, { [semconv.ATTR_UPSTREAM_NAME]: name })
    })
  return meter.createCounter(semconv.METRIC_UPSTREAM_DISCOVERIES, {
    unit: '{discovery}',
    description: 'New lists of targets, and lists that could not be read',
  })
}
