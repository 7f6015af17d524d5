/** A span as shown on pages, independent of its source. */
export interface ShownSpan {
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer'
  /** `service.name` of its resource, and the instrumentation that made it, where that is known. */
  readonly service: string
  readonly scope: string | undefined
  /** Milliseconds since the epoch, with their fraction. */
  readonly startMs: number
  readonly durationMs: number
  readonly isError: boolean
  readonly statusMessage: string | undefined
  readonly attributes: readonly ShownAttribute[]
  readonly events: readonly ShownEvent[]
}

export interface ShownEvent {
  readonly name: string
  readonly atMs: number
  readonly attributes: readonly ShownAttribute[]
}

/** Name and value, both as text. */
export type ShownAttribute = readonly [string, string]

export function attribute(attributes: readonly ShownAttribute[], name: string): string | undefined {
  return attributes.find(([key]) => key === name)?.[1]
}
