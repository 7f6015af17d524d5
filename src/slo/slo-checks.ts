import { problemAt } from '../config/findings'
import type { ConfigProblem } from '../config/types'
import { asList, asMap, read } from '../config/understood'
import { mistake } from '../config/values/parsed'
import type { Path } from '../config/variables'
import type { YamlSource } from '../config/yaml-source'
import { DURATION_BUCKETS_S } from '../telemetry/semconv'
import { MAX_OWN_BOUNDARIES } from './objectives'
import { latencyThreshold } from './slo-schema'

/** Each latency threshold is a boundary of the duration histogram: many of them would make every scrape longer. */
export function checkThresholds(source: YamlSource): ConfigProblem[] {
  const places: Path[] = [
    ['slo', 'latency', 'threshold'],
    ...asList(source.valueAt(['routes'])).map((_, index): Path => ['routes', index, 'slo', 'latency', 'threshold']),
  ]
  const own = new Set<number>()
  return places.flatMap(at => {
    const parent = asMap(source.valueAt(at.slice(0, -1)))
    const threshold = read(latencyThreshold, parent['threshold'])
    if (threshold === undefined || DURATION_BUCKETS_S.includes(threshold / 1_000) || own.has(threshold)) return []
    own.add(threshold)
    if (own.size <= MAX_OWN_BOUNDARIES) return []
    const allowed = `${MAX_OWN_BOUNDARIES} different ones beside ${DURATION_BUCKETS_S.map(seconds => `${seconds}s`).join(', ')}`
    return [problemAt(at, mistake('is one latency threshold too many', allowed), source)]
  })
}
