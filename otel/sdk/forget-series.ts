import type { Attributes } from '@opentelemetry/api'
import type { MeterProvider } from '@opentelemetry/sdk-metrics'

/** As in the SDK: accumulations of one instrument, by the hash of their attributes. */
interface AttributeHashMap {
  readonly _valueMap: Map<string, unknown>
  readonly _keyMap: Map<string, Attributes>
}

/** As in the SDK: one instrument, or one view of it. */
interface Storage {
  readonly _deltaMetricStorage?: { readonly _activeCollectionStorage?: AttributeHashMap }
  readonly _temporalMetricStorage?: {
    readonly _unreportedAccumulations?: ReadonlyMap<unknown, readonly AttributeHashMap[]>
    readonly _reportHistory?: ReadonlyMap<unknown, { readonly accumulations: AttributeHashMap }>
  }
}

/** As in the SDK. */
interface SharedState {
  readonly metricCollectors?: readonly unknown[]
  readonly meterSharedStates?: ReadonlyMap<
    string,
    { readonly metricStorageRegistry?: { getStorages?: (collector: unknown) => readonly Storage[] } }
  >
}

/**
 * Removes every series that has all of these attributes, so that targets which come and go do not add series for ever: the
 * SDK keeps a cumulative series until the process ends, and its limit counts only those of one collection. A series that is
 * recorded again starts again at 0, with a new start timestamp.
 *
 * This reaches into the SDK. If its internals differ from what is expected, the series stay.
 */
export function forgetSeries(provider: MeterProvider, attributes: Attributes): void {
  const expected = Object.entries(attributes)
  const { metricCollectors = [], meterSharedStates } =
    (provider as unknown as { _sharedState?: SharedState })._sharedState ?? {}
  for (const { metricStorageRegistry } of meterSharedStates?.values() ?? []) {
    const storages = metricCollectors.flatMap(collector => metricStorageRegistry?.getStorages?.(collector) ?? [])
    for (const storage of new Set(storages)) {
      for (const series of mapsOf(storage)) removeFrom(series, expected)
    }
  }
}

function mapsOf({ _deltaMetricStorage, _temporalMetricStorage }: Storage): AttributeHashMap[] {
  return [
    _deltaMetricStorage?._activeCollectionStorage,
    ...[...(_temporalMetricStorage?._unreportedAccumulations?.values() ?? [])].flat(),
    ...[...(_temporalMetricStorage?._reportHistory?.values() ?? [])].map(({ accumulations }) => accumulations),
  ].filter(series => series?._keyMap instanceof Map && series._valueMap instanceof Map) as AttributeHashMap[]
}

function removeFrom({ _keyMap, _valueMap }: AttributeHashMap, expected: readonly (readonly [string, unknown])[]): void {
  for (const [hash, attributes] of _keyMap) {
    if (!expected.every(([name, value]) => attributes[name] === value)) continue
    _keyMap.delete(hash)
    _valueMap.delete(hash)
  }
}
