/** How long an answer is shared: alerts of one cause fire together, and their evidence is gathered a few at a time. */
const KEEP_MS = 10_000
/** Maximum cached answers and bytes; those that nobody asked for the longest are removed first. */
const MAX_KEPT = 1_000
const MAX_KEPT_BYTES = 16 * 1024 * 1024
/** Maximum queries in flight: all go to the same few programs, which are busy with the outage. */
const MAX_ASKING = 16

/**
 * Shares answers between callers with the same query within seconds: three hundred alerts of one cause cost little more
 * than one. If one caller gives up, the query goes on for the others.
 */
export class SharedAnswers {
  readonly #keepMs: number
  readonly #kept = new Map<string, Kept>()
  readonly #waiting: (() => void)[] = []
  #asking = 0
  #bytes = 0

  constructor(keepMs = KEEP_MS) {
    this.#keepMs = keepMs
  }

  /** @param ask must limit its own time */
  async get<Answer>(key: string, signal: AbortSignal, ask: () => Promise<Sized<Answer>>): Promise<Answer> {
    const kept = this.#kept.get(key)
    if (kept === undefined) return orAborted(this.#begin(key, ask), signal)
    // Becomes the newest: the few answers that all alerts need outlive the many that one alert needs.
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    return orAborted(kept.answer as Promise<Answer>, signal)
  }

  #begin<Answer>(key: string, ask: () => Promise<Sized<Answer>>): Promise<Answer> {
    const asked = this.#inTurn(ask)
    const answer = asked.then(sized => sized.answer)
    const kept: Kept = { answer, bytes: 0 }
    this.#kept.set(key, kept)
    this.#makeRoom()
    const forget = (): void => this.#forget(key, kept)
    const keep = ({ bytes }: Sized<Answer>): void => {
      if (this.#kept.get(key) !== kept) return
      kept.bytes = bytes
      this.#bytes += bytes
      this.#makeRoom()
      setTimeout(forget, this.#keepMs).unref()
    }
    // A failed query is not cached; the next caller repeats it.
    asked.then(keep, forget)
    return answer
  }

  #makeRoom(): void {
    for (const [key, kept] of this.#kept) {
      if (this.#kept.size <= MAX_KEPT && this.#bytes <= MAX_KEPT_BYTES) return
      this.#forget(key, kept)
    }
  }

  #forget(key: string, kept: Kept): void {
    if (this.#kept.get(key) !== kept) return
    this.#kept.delete(key)
    this.#bytes -= kept.bytes
  }

  async #inTurn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.#asking >= MAX_ASKING) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#asking++
    try {
      return await ask()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#asking--
      else next()
    }
  }
}

/** An answer with its size. */
export interface Sized<Answer> {
  readonly answer: Answer
  readonly bytes: number
}

interface Kept {
  readonly answer: Promise<unknown>
  bytes: number
}

function orAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  if (signal.aborted) return Promise.reject(reasonOf(signal))
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('given up')
}
