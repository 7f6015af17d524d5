import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { send, type Answer } from './send'

/** A gateway behind the load balancer. */
export interface Balanced {
  readonly opsUrl: string
  readonly port: number
  /** Default: 127.0.0.1. */
  readonly host?: string
}

/** What became of the requests that were sent through a load balancer. */
export interface BalancedLoad {
  readonly answers: readonly (Answer & { readonly replica: number })[]
  /** No further requests; waits for those under way. @throws when a request got no answer */
  stop(): Promise<void>
}

const CHECK_INTERVAL_MS = 100
/** A machine whose link is down never answers. */
const CHECK_TIMEOUT_MS = 1_000

/**
 * The least that a load balancer does: sends each request to the next replica that its last check found ready, over connections
 * that are kept as long as the replica wants them kept. It tries nothing again: what a replica drops is lost.
 */
export function balanceLoad(replicas: readonly Balanced[], clients: number, path: string): BalancedLoad {
  const agents = replicas.map(() => new Agent({ keepAlive: true }))
  const answers: (Answer & { replica: number })[] = []
  const over = new AbortController()
  let ready = replicas.map((_, index) => index)
  let turn = 0

  const check = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const states = await Promise.all(replicas.map(isReady))
      ready = states.flatMap((state, index) => (state ? [index] : []))
      await delay(CHECK_INTERVAL_MS)
    }
  }
  const client = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const replica = ready[turn++ % ready.length] as number
      const { port, host = '127.0.0.1' } = replicas[replica] as Balanced
      const answer = await send(port, { host, path, method: 'POST', body: 'once', agent: agents[replica] as Agent })
      answers.push({ ...answer, replica })
    }
  }
  const running = Promise.all([check(), ...Array.from({ length: clients }, client)])
  // Told by `stop`.
  running.catch(() => over.abort())
  return {
    answers,
    stop: async () => {
      over.abort()
      await running
      for (const agent of agents) agent.destroy()
    },
  }
}

async function isReady({ opsUrl }: Balanced): Promise<boolean> {
  try {
    return (await fetch(`${opsUrl}/readyz`, { signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) })).ok
  } catch {
    return false
  }
}
