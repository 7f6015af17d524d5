import type { HashKey } from '../config/values/rate-limit-key'
import type { UpstreamConfig } from '../config/types'
import type { Exchange } from '../exchange/exchange'
import { hashOf, mixed } from './hash'
import type { Target } from './target'

/** Which of the targets gets the next request; there is at least one of them. Called once per call, so nothing is allocated. */
export interface Balancer {
  choose(candidates: readonly Target[], exchange: Exchange): Target
}

export function createBalancer({ balance, hashKey, targets }: UpstreamConfig): Balancer {
  if (balance === 'least-requests') return new LeastRequests()
  if (balance === 'hash') return new ConsistentHash(hashKey)
  return targets.every(({ weight }) => weight === targets[0]?.weight) ? new RoundRobin() : new WeightedRoundRobin()
}

class RoundRobin implements Balancer {
  #next = 0

  choose(candidates: readonly Target[]): Target {
    if (this.#next >= candidates.length) this.#next = 0
    return candidates[this.#next++] as Target
  }
}

/** In turn and by weight, evenly: of 5 and 1, not five in a row ("smooth" weighted round robin, as in nginx). */
class WeightedRoundRobin implements Balancer {
  choose(candidates: readonly Target[]): Target {
    let best = candidates[0] as Target
    let total = 0
    for (const target of candidates) {
      total += target.weight
      target.credit += target.weight
      if (target.credit > best.credit) best = target
    }
    best.credit -= total
    return best
  }
}

/** The less busy of two that are drawn: nearly as good as the least busy of all, and gateways do not all run to the same one. */
class LeastRequests implements Balancer {
  choose(candidates: readonly Target[]): Target {
    const count = candidates.length
    const first = candidates[Math.floor(Math.random() * count)] as Target
    if (count === 1) return first
    // Another one: up to count - 1 further on, around the end.
    const distance = 1 + Math.floor(Math.random() * (count - 1))
    const second = candidates[(candidates.indexOf(first) + distance) % count] as Target
    return (second.activeCalls + 1) / second.weight < (first.activeCalls + 1) / first.weight ? second : first
  }
}

/**
 * The same target for the same key as long as it is there: each target draws a number for the key, the highest wins, so
 * that a target that goes or comes moves only its own keys (rendezvous hashing, weighted).
 */
class ConsistentHash implements Balancer {
  readonly #key: HashKey

  constructor(key: HashKey) {
    this.#key = key
  }

  choose(candidates: readonly Target[], exchange: Exchange): Target {
    const key = this.#hashOf(exchange)
    let best = candidates[0] as Target
    let bestScore = -1
    for (const target of candidates) {
      // Between 0 and 1, neither of them.
      const drawn = (mixed(key ^ target.seed) + 0.5) / 2 ** 32
      const score = -target.weight / Math.log(drawn)
      if (score > bestScore) {
        best = target
        bestScore = score
      }
    }
    return best
  }

  /** Of a client without the field: by its address. */
  #hashOf({ request, clientAddress }: Exchange): number {
    let hash = 0
    for (const part of this.#key) {
      const value = part === 'client' ? undefined : request.headers[part.slice('header:'.length)]
      hash = mixed(hash ^ hashOf(value === undefined ? clientAddress : String(value)))
    }
    return hash
  }
}
