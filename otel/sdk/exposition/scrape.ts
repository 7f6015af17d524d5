import { Readable } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as after } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import { diag } from '@opentelemetry/api'
import type { CollectionResult, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { ExemplarSource } from '../exemplars'
import type { Format } from './negotiation'
import { renderProtobuf } from './protobuf'
import { render, type Rendering } from './render'

/** How long rendering may occupy the event loop before it yields to requests. */
const SLICE_MS = 1
/** Characters of text that become one buffer: larger than what is rendered between two looks at the clock, to be sent in few writes. */
const BUFFER = 65_536
/** How long a scrape waits for resource detectors that use the network, such as those of the clouds. */
const RESOURCE_TIMEOUT_MS = 1_000

/** A response body in pieces: joining those of a large exposition would block the event loop. */
export type Body = readonly Buffer[]

/** Metrics with the exemplars of their series. */
export interface Collected {
  readonly metrics: ResourceMetrics
  readonly exemplars: ExemplarSource
  readonly exponential: ResourceMetrics | undefined
}

/** One collection and its renderings, each made once and shared: two formats, plain and gzipped. */
export class Scrape {
  readonly #collected: Promise<Collected>
  readonly #rendering: Omit<Rendering, 'exemplars'>
  readonly #plain = new Map<Format, Promise<Body>>()
  readonly #gzipped = new Map<Format, Promise<Body>>()

  constructor(collect: () => Promise<Collected>, rendering: Omit<Rendering, 'exemplars'>) {
    this.#collected = collect()
    this.#rendering = rendering
  }

  /** @throws the error of the collection */
  body(format: Format, gzipped: boolean): Promise<Body> {
    const plain = once(this.#plain, format, () => this.#render(format))
    if (!gzipped) return plain
    return once(this.#gzipped, format, async () => compress(await plain))
  }

  async #render(format: Format): Promise<Body> {
    const pieces: Buffer[] = []
    const { metrics, exponential, exemplars } = await this.#collected
    const rendering = { ...this.#rendering, exemplars }
    // The SDK's collection is synchronous; requests that arrived meanwhile are served before the first slice.
    await nextTurn()
    let sliceStart = performance.now()
    const rendered =
      format === 'protobuf' ? renderProtobuf(metrics, exponential, rendering) : render(metrics, format, rendering)
    let text = ''
    for (const piece of rendered) {
      if (typeof piece === 'string') {
        text += piece
        if (text.length >= BUFFER) {
          pieces.push(Buffer.from(text))
          text = ''
        }
      } else if (piece !== undefined) pieces.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
      if (performance.now() - sliceStart < SLICE_MS) continue
      await nextTurn()
      sliceStart = performance.now()
    }
    if (text !== '') pieces.push(Buffer.from(text))
    return pieces
  }
}

/** Reports the errors of a collection, and waits for a resource that is not complete yet. */
export async function settled({ resourceMetrics, errors }: CollectionResult): Promise<ResourceMetrics> {
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

/** Compresses in zlib's own thread. The fastest level still reduces such text to a tenth. */
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
