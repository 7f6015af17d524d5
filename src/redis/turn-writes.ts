import type { Writable } from 'node:stream'
import { Cluster, type Redis } from 'ioredis'

/**
 * Sends all commands of one turn of the event loop in one write: a system call for each, and for each reply, costs more
 * than the rest of a command. Commands stay single, with their own spans, replies and timeouts.
 */
export class TurnWrites {
  /** Undefined for a cluster, whose commands go to many connections. */
  readonly #redis: Redis | undefined
  /** The connection whose writes are held until the end of the turn. */
  #held: Writable | undefined
  /** At most one for each command of the turn. */
  #whenSent: (() => void)[] = []

  constructor(redis: Redis | Cluster) {
    this.#redis = redis instanceof Cluster ? undefined : redis
  }

  /** Call it before a command is sent. */
  join(): void {
    if (this.#held !== undefined || this.#redis === undefined) return
    // Undefined before the first connection.
    const stream = this.#redis.stream as Writable | undefined
    if (stream === undefined || stream.destroyed) return
    stream.cork()
    this.#held = stream
    setImmediate(release, this)
  }

  /** Calls `act` when the commands so far are sent: a long turn is not counted as silence of Redis. */
  whenSent(act: () => void): void {
    if (this.#held === undefined) act()
    else this.#whenSent.push(act)
  }

  release(): void {
    const [stream, acts] = [this.#held, this.#whenSent]
    this.#held = undefined
    this.#whenSent = []
    stream?.uncork()
    for (const act of acts) act()
  }
}

function release(writes: TurnWrites): void {
  writes.release()
}
