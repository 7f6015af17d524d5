import { Readable } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as after } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import { diag } from '@opentelemetry/api'
import type { CollectionResult, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { Format } from './negotiation'
import { render, type Rendering } from './render'

/** How long rendering may hold the event loop before requests get their turn. */
const SLICE_MS = 5
/** How long a scrape waits for resource detectors that ask over the network, such as those of the clouds. */
const RESOURCE_TIMEOUT_MS = 1_000

/** In pieces, because joining those of a large exposition would hold the event loop once more. */
export type Body = readonly Buffer[]

/** One collection, and its renderings, each made once for all who ask for it: two formats, plain and gzipped. */
export class Scrape {
  readonly #metrics: Promise<ResourceMetrics>
  readonly #rendering: Rendering
  readonly #plain = new Map<Format, Promise<Body>>()
  readonly #gzipped = new Map<Format, Promise<Body>>()

  constructor(collect: () => Promise<CollectionResult>, rendering: Rendering) {
    this.#metrics = collect().then(settled)
    this.#rendering = rendering
  }

  /** @throws what the collection failed with */
  body(format: Format, gzipped: boolean): Promise<Body> {
    const plain = once(this.#plain, format, () => this.#render(format))
    if (!gzipped) return plain
    return once(this.#gzipped, format, async () => compress(await plain))
  }

  async #render(format: Format): Promise<Body> {
    const pieces: Buffer[] = []
    const metrics = await this.#metrics
    // The SDK has collected in one go; requests that came meanwhile do not wait for the first slice as well.
    await nextTurn()
    let sliceStart = performance.now()
    for (const piece of render(metrics, format, this.#rendering)) {
      pieces.push(Buffer.from(piece))
      if (performance.now() - sliceStart < SLICE_MS) continue
      await nextTurn()
      sliceStart = performance.now()
    }
    return pieces
  }
}

async function settled({ resourceMetrics, errors }: CollectionResult): Promise<ResourceMetrics> {
  for (const error of errors) diag.error('an instrument could not be collected', error)
  const { resource } = resourceMetrics
  if (resource.asyncAttributesPending === true) {
    const arrived = new AbortController()
    const tooLong = after(RESOURCE_TIMEOUT_MS, undefined, { signal: arrived.signal }).catch(() => {})
    await Promise.race([resource.waitForAsyncAttributes?.(), tooLong])
    arrived.abort()
  }
  return resourceMetrics
}

/** In zlib's own thread. The fastest level: text like this still shrinks to a tenth. */
function compress(body: Body): Promise<Body> {
  return Readable.from(body)
    .pipe(createGzip({ level: constants.Z_BEST_SPEED }))
    .toArray() as Promise<Body>
}

function once<Key, Value>(made: Map<Key, Promise<Value>>, key: Key, make: () => Promise<Value>): Promise<Value> {
  let value = made.get(key)
  if (value === undefined) {
    value = make()
    made.set(key, value)
  }
  return value
}
