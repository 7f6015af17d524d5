import type { HashKey } from '../config/values/rate-limit-key'
import type { UpstreamConfig } from '../config/types'
import type { Exchange } from '../exchange/exchange'
import { hashOf, mixed } from '../exchange/hash'
import type { Target } from './target'

/** Chooses the target of each call from at least one candidate. Runs once per call and allocates nothing. */
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

/** Smooth weighted round robin, as in nginx: weights 5 and 1 do not give five requests in a row to one target. */
class WeightedRoundRobin implements Balancer {
  choose(candidates: readonly Target[]): Target {
    let best = candidates[0] as Target
    let total = 0
    for (const target of candidates) {
      total += target.weight
      target.currentWeight += target.weight
      if (target.currentWeight > best.currentWeight) best = target
    }
    best.currentWeight -= total
    return best
  }
}

/**
 * Chooses the less busy of two random targets. This is nearly as good as the least busy of all, and several gateways do
 * not all choose the same one.
 */
class LeastRequests implements Balancer {
  choose(candidates: readonly Target[]): Target {
    const count = candidates.length
    const first = candidates[Math.floor(Math.random() * count)] as Target
    if (count === 1) return first
    // A different target: 1 to count - 1 places further, with wrap-around.
    const distance = 1 + Math.floor(Math.random() * (count - 1))
    const second = candidates[(candidates.indexOf(first) + distance) % count] as Target
    return (second.activeCalls + 1) / second.weight < (first.activeCalls + 1) / first.weight ? second : first
  }
}

/**
 * Weighted rendezvous hashing: each target gets a score for the key, and the highest wins. A target that joins or
 * leaves moves only its own keys.
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
      // Strictly between 0 and 1, so that the logarithm is finite and not zero.
      const drawn = (mixed(key ^ target.seed) + 0.5) / 2 ** 32
      const score = -target.weight / Math.log(drawn)
      if (score > bestScore) {
        best = target
        bestScore = score
      }
    }
    return best
  }

  /** Hashes the parts of the key. A missing header field is replaced by the client's address. */
  #hashOf({ request, clientAddress }: Exchange): number {
    let hash = 0
    for (const part of this.#key) {
      const value = part === 'client' ? undefined : request.headers[part.slice('header:'.length)]
      hash = mixed(hash ^ hashOf(value === undefined ? clientAddress : String(value)))
    }
    return hash
  }
}
