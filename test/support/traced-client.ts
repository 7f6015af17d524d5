import { randomBytes } from 'node:crypto'

/** A client that begins its own traces, so that it knows which requests it saw fail. */
export class TracedClient {
  /** Trace ids by the status that came back. */
  readonly seen = new Map<string, number>()

  async get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const traceId = randomBytes(16).toString('hex')
    // Not sampled: a trace that is kept all the same was kept because its request failed.
    const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-00`
    const response = await fetch(url, { headers: { ...headers, traceparent } })
    await response.arrayBuffer()
    this.seen.set(traceId, response.status)
    return response.status
  }

  failed(): ReadonlySet<string> {
    return new Set([...this.seen].filter(([, status]) => status >= 500).map(([traceId]) => traceId))
  }
}
