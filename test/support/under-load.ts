import assert from 'node:assert/strict'
import { problemOf, send, type Answer } from './send'
import { until } from './until'

/** What became of the requests of some clients. */
export interface Load {
  readonly answers: readonly (Answer & { readonly ms: number })[]
  /** No further requests; waits for those under way. */
  stop(): Promise<void>
}

/** Clients that send one request after the other until they are stopped, each as a client of its own. */
export function startLoad(port: number, clients: number, path = '/app'): Load {
  const answers: (Answer & { ms: number })[] = []
  const over = new AbortController()
  const client = async (index: number): Promise<void> => {
    while (!over.signal.aborted) {
      const started = performance.now()
      const answer = await send(port, { path, localAddress: `127.0.1.${index + 1}` })
      answers.push({ ...answer, ms: performance.now() - started })
    }
  }
  const running = Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return {
    answers,
    stop: async () => {
      over.abort()
      await running
    },
  }
}

export interface Beside {
  /** 99th percentile in milliseconds. */
  readonly p99: number
  /** Requests that the gateway refused because its own event loop was late: the machine is too slow for the test. */
  readonly shed: number
}

/**
 * Sends requests beside an attack, each client with an address of its own, and checks that all succeed. A request that was
 * shed is told apart by its reason: it says something about the machine, not about the shares of clients.
 */
export async function askBeside(port: number, clients: number, requests: number, path: string): Promise<Beside> {
  const load = startLoad(port, clients, path)
  await until(() => load.answers.length >= requests, { what: `${requests} answers`, timeoutMs: 50_000 })
  await load.stop()
  const failed = load.answers.filter(({ status }) => status !== 200).map(answer => problemOf(answer)['reason'])
  assert.deepEqual(new Set(failed.filter(reason => reason !== 'shed')), new Set(), 'reasons of requests that failed')
  const times = load.answers.filter(({ status }) => status === 200).map(({ ms }) => ms)
  assert.ok(times.length > 0, 'no request was served')
  const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] as number
  return { p99, shed: failed.length }
}
