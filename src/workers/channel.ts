import { setImmediate as nextTurn } from 'node:timers/promises'

/** The end of an IPC channel between the primary and one worker. */
export interface Port {
  send(message: object): void
  onMessage(listener: (message: unknown) => void): void
}

/** An answer that is sent in several messages: a large one would block the event loop while it is written. */
export class Pieces {
  readonly all: readonly unknown[]

  constructor(all: readonly unknown[]) {
    this.all = all
  }
}

export type Handler = (value: unknown) => unknown

/** Open questions to one process. One that answers nothing is not asked again and again. */
const MAX_OPEN = 32

type Message =
  | { readonly gateway: 'ask'; readonly id: number; readonly kind: string; readonly value: unknown }
  | { readonly gateway: 'tell'; readonly kind: string; readonly value: unknown }
  | { readonly gateway: 'piece' | 'answer' | 'failed'; readonly id: number; readonly value: unknown }

interface Open {
  readonly pieces: unknown[]
  readonly settle: (answer: unknown) => void
}

/** Questions and answers over IPC. An answer is undefined when it does not come in time, or the other side fails. */
export class Channel {
  readonly #port: Port
  readonly #handlers: Readonly<Record<string, Handler>>
  readonly #open = new Map<number, Open>()
  #lastId = 0

  constructor(port: Port, handlers: Readonly<Record<string, Handler>>) {
    this.#port = port
    this.#handlers = handlers
    port.onMessage(message => {
      if (isMessage(message)) this.#receive(message)
    })
  }

  /** Never rejects. An answer in pieces is a list. */
  async ask(kind: string, value: unknown, timeoutMs: number): Promise<unknown> {
    if (this.#open.size >= MAX_OPEN) return undefined
    const id = ++this.#lastId
    return new Promise(resolve => {
      const settle = (answer: unknown): void => {
        clearTimeout(timer)
        this.#open.delete(id)
        resolve(answer)
      }
      const timer = setTimeout(settle, timeoutMs, undefined)
      this.#open.set(id, { pieces: [], settle })
      this.#port.send({ gateway: 'ask', id, kind, value } satisfies Message)
    })
  }

  /** Sends a message that has no answer. */
  tell(kind: string, value?: unknown): void {
    this.#port.send({ gateway: 'tell', kind, value } satisfies Message)
  }

  /** Answers all open questions with undefined: the other side is gone. */
  close(): void {
    for (const { settle } of this.#open.values()) settle(undefined)
  }

  #receive(message: Message): void {
    if (message.gateway === 'ask') return void this.#answer(message.id, message.kind, message.value)
    if (message.gateway === 'tell') return void this.#handlers[message.kind]?.(message.value)
    const open = this.#open.get(message.id)
    if (open === undefined) return // too late
    if (message.gateway === 'piece') open.pieces.push(message.value)
    else if (message.gateway === 'failed') open.settle(undefined)
    else open.settle(open.pieces.length > 0 ? open.pieces : message.value)
  }

  async #answer(id: number, kind: string, value: unknown): Promise<void> {
    try {
      const answer = await this.#handlers[kind]?.(value)
      if (!(answer instanceof Pieces)) return this.#port.send({ gateway: 'answer', id, value: answer })
      for (const piece of answer.all) {
        this.#port.send({ gateway: 'piece', id, value: piece })
        await nextTurn()
      }
      this.#port.send({ gateway: 'answer', id, value: [] })
    } catch {
      this.#port.send({ gateway: 'failed', id, value: undefined })
    }
  }
}

function isMessage(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && 'gateway' in message
}
