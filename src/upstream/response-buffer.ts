import type { ServerResponse } from 'node:http'

/** Bytes of responses that wait in the gateway for clients, all together. */
export class ResponseMemory {
  usage = 0
  /** Called when an upstream has to wait because of the bound of all responses together. */
  onExhausted: (() => void) | undefined
}

export interface ResponseBufferLimits {
  /** For one response. */
  readonly perResponseBytes: number
  /** For all of them. */
  readonly totalBytes: number
}

/** Whoever reads the upstream. */
export interface BufferOwner {
  /** The client has taken bytes. */
  onProgress(bytes: number): void
  /** There is room again after `write` returned false. */
  onRoom(): void
  /** The client has taken everything that was there. */
  onCaughtUp(): void
}

/** How much is handed to the connection at once: what a client takes is seen in such steps. */
const PIECE_BYTES = 16_384
/** Smaller chunks are copied together: each of them would keep alive the whole read that it came with. */
const SMALL_BYTES = 8_192
const BLOCK_BYTES = 16_384

/** Bytes that wait, and how much memory they were charged for. */
interface Block {
  bytes: Buffer
  readonly charge: number
}

/**
 * Holds what an upstream sends faster than the client takes it, so that the upstream's connection comes free. Made only
 * for a client that has fallen behind. Holds at most `perResponseBytes` and one read (64 KiB) more.
 */
export class ResponseBuffer {
  readonly #response: ServerResponse
  readonly #limits: ResponseBufferLimits
  readonly #memory: ResponseMemory
  readonly #owner: BufferOwner
  readonly #blocks: Block[] = []
  /** The last block, as long as small chunks still fit behind what it has. */
  #openBlock: Buffer | undefined
  #openLength = 0
  #charged = 0
  #isFull = false
  #isClosed = false
  #onEnd: (() => void) | undefined
  /** Bytes that the connection has been given and has not passed on. */
  #handedOver = 0
  /** Something waits for the client: what comes next has to come here. */
  isBehind = false

  constructor(response: ServerResponse, limits: ResponseBufferLimits, memory: ResponseMemory, owner: BufferOwner) {
    this.#response = response
    this.#limits = limits
    this.#memory = memory
    this.#owner = owner
  }

  /** The client has not taken what was written last. */
  fallBehind(): void {
    this.isBehind = true
    this.#handedOver = this.#response.writableLength
    this.#response.once('drain', this.#onTaken)
  }

  /** Whether there is room for more. */
  write(chunk: Buffer): boolean {
    this.#append(chunk)
    return this.hasRoom()
  }

  hasRoom(): boolean {
    const isExhausted = this.#memory.usage >= this.#limits.totalBytes
    if (isExhausted && !this.#isFull) this.#memory.onExhausted?.()
    this.#isFull = isExhausted || this.#charged >= this.#limits.perResponseBytes
    return !this.#isFull
  }

  /** Nothing more comes; `finish` is called when the client has taken everything. */
  end(finish: () => void): void {
    this.#onEnd = finish
  }

  /** The client is gone: nothing waits any more. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.isBehind = false
    this.#blocks.length = 0
    this.#openBlock = undefined
    this.#memory.usage -= this.#charged
    this.#charged = 0
  }

  #append(chunk: Buffer): void {
    if (chunk.length >= SMALL_BYTES) {
      this.#openBlock = undefined
      this.#blocks.push({ bytes: chunk, charge: chunk.length })
      return this.#charge(chunk.length)
    }
    let rest = chunk
    while (rest.length > 0) {
      const open = this.#openBlock ?? this.#newBlock()
      const copied = rest.copy(open, this.#openLength)
      this.#openLength += copied
      const last = this.#blocks.at(-1) as Block
      // The same memory, with what has come on top.
      last.bytes = open.subarray(this.#openLength - copied - last.bytes.length, this.#openLength)
      if (this.#openLength === open.length) this.#openBlock = undefined
      rest = rest.subarray(copied)
    }
  }

  #newBlock(): Buffer {
    const block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
    this.#openBlock = block
    this.#openLength = 0
    this.#blocks.push({ bytes: block.subarray(0, 0), charge: BLOCK_BYTES })
    this.#charge(BLOCK_BYTES)
    return block
  }

  #charge(bytes: number): void {
    this.#charged += bytes
    this.#memory.usage += bytes
  }

  readonly #onTaken = (error?: Error | null): void => {
    // Writing to a connection that is gone would raise an error of its own.
    if (this.#isClosed || error || this.#response.destroyed) return
    this.#owner.onProgress(this.#handedOver)
    this.#handedOver = 0
    this.#handOver()
    if (this.#isFull && this.isBehind && this.#charged <= this.#limits.perResponseBytes / 2 && this.hasRoom()) {
      this.#owner.onRoom()
    }
  }

  /** One piece at a time: Node tells only when all that it was given is gone. */
  #handOver(): void {
    const block = this.#blocks[0]
    if (block === undefined) return this.#caughtUp()
    const piece = block.bytes.subarray(0, PIECE_BYTES)
    block.bytes = block.bytes.subarray(piece.length)
    if (block.bytes.length === 0) {
      this.#blocks.shift()
      if (this.#blocks.length === 0) this.#openBlock = undefined
      this.#charged -= block.charge
      this.#memory.usage -= block.charge
    }
    this.#handedOver = piece.length
    this.#response.write(piece, this.#onTaken)
  }

  #caughtUp(): void {
    this.isBehind = false
    const wasFull = this.#isFull
    this.#isFull = false
    this.#owner.onCaughtUp()
    if (this.#onEnd) this.#onEnd()
    else if (wasFull) this.#owner.onRoom()
  }
}
