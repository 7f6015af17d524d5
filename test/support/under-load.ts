import { send, type Answer } from './send'

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
