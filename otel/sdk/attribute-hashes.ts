import { dirname, join } from 'node:path'
import type { Attributes } from '@opentelemetry/api'

/** As in the SDK: the accumulations of one instrument, by the hash of their attributes. */
interface AttributeHashMap {
  _hash(attributes: Attributes): string
  get: (this: AttributeHashMap, attributes: Attributes, hash?: string) => unknown
}

const hashes = new WeakMap<Attributes, string>()
const remembering = new WeakSet<object>()

/**
 * Hashes the attributes of a series once instead of with every record: the SDK sorts them and writes them as JSON,
 * three times per request, which was most of the cost of metrics. Only frozen attribute objects are remembered.
 *
 * This reaches into the SDK. If the SDK's internals differ from what is expected, nothing is changed and only the gain
 * is lost.
 */
export function rememberHashes(prototype: AttributeHashMap | undefined = hashMapOfSdk()): void {
  if (typeof prototype?.get !== 'function' || remembering.has(prototype)) return
  remembering.add(prototype)
  const { get } = prototype
  prototype.get = function getByHash(attributes, hash) {
    return get.call(this, attributes, hash ?? hashes.get(attributes) ?? hashOnce(this, attributes))
  }
}

function hashOnce(map: AttributeHashMap, attributes: Attributes): string {
  const hash = map._hash(attributes)
  if (Object.isFrozen(attributes)) hashes.set(attributes, hash)
  return hash
}

/** The SDK's class, which the package does not export. */
function hashMapOfSdk(): AttributeHashMap | undefined {
  try {
    const folder = dirname(require.resolve('@opentelemetry/sdk-metrics'))
    const { HashMap } = require(join(folder, 'state', 'HashMap.cjs')) as { HashMap?: { prototype: AttributeHashMap } }
    return HashMap?.prototype
  } catch {
    return undefined
  }
}
