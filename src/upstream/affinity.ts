import { createHmac } from 'node:crypto'
import type { AffinityConfig } from '../config/types'
import { cookieOf, setOwnCookie } from '../exchange/cookies'
import type { Exchange } from '../exchange/exchange'
import type { Target } from './target'

/**
 * Keeps a client at its target by a cookie. The cookie holds a hash of the target's origin, so that it does not disclose the
 * address, and means the same on every replica and after a restart.
 */
export class Affinity {
  readonly #config: AffinityConfig
  readonly #targets = new Map<string, Target>()
  readonly #tokens = new Map<Target, string>()

  constructor(upstreamName: string, config: AffinityConfig, targets: readonly Target[]) {
    this.#config = config
    const key = config.secret ?? upstreamName
    for (const target of targets) {
      const token = createHmac('sha256', key).update(target.origin).digest('hex').slice(0, TOKEN_LENGTH)
      this.#targets.set(token, target)
      this.#tokens.set(target, token)
    }
  }

  /** Returns the target that the client's cookie names; undefined without one, and if the target no longer exists. */
  targetOf(exchange: Exchange): Target | undefined {
    const token = cookieOf(exchange, this.#config.name)
    return token === undefined ? undefined : this.#targets.get(token)
  }

  /** Lets the client's next requests go to this target. */
  remember(exchange: Exchange, target: Target): void {
    setOwnCookie(exchange, this.#config, this.#tokens.get(target) as string)
  }
}

const TOKEN_LENGTH = 16
