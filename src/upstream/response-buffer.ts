import type { ServerResponse } from 'node:http'
import { freeRead } from './read-memory'

/** Total bytes of responses that are buffered for slow clients. */
export class ResponseMemory {
  usage = 0
  /** Called when an upstream is paused because the total limit is reached. */
  onExhausted: (() => void) | undefined
}

export interface ResponseBufferLimits {
  /** Limit of one response. */
  readonly perResponseBytes: number
  /** Limit of all responses together. */
  readonly totalBytes: number
}

/** The call whose response is buffered. */
export interface BufferOwner {
  /** Called when the client has read bytes. */
  onProgress(bytes: number): void
  /** Called when there is room again after `write` returned false. */
  onRoom(): void
  /** Called when the client has read everything that was buffered. */
  onCaughtUp(): void
}

/** Size of the pieces that are written to the connection; the progress of a client is visible in such steps. */
const PIECE_BYTES = 16_384
/** Smaller chunks are copied into shared blocks, because each would otherwise keep its whole read buffer alive. */
const SMALL_BYTES = 8_192
const BLOCK_BYTES = 16_384

/** Buffered bytes, and the memory they are charged for. */
interface Block {
  /** The part that was not written to the connection yet. */
  bytes: Buffer
  /** The chunk, if the block is one that the upstream sent. */
  readonly chunk?: Buffer
  readonly charge: number
}

/**
 * Buffers a response that the upstream sends faster than the client reads, so that the upstream's connection becomes
 * free. Created only for a slow client. Holds at most `perResponseBytes` plus one read (64 KiB).
 */
export class ResponseBuffer {
  readonly #response: ServerResponse
  readonly #limits: ResponseBufferLimits
  readonly #memory: ResponseMemory
  readonly #owner: BufferOwner
  readonly #blocks: Block[] = []
  /** The last block, while small chunks still fit into it. */
  #openBlock: Buffer | undefined
  #openLength = 0
  #charged = 0
  #isFull = false
  #isClosed = false
  #onEnd: (() => void) | undefined
  /** Bytes written to the connection and not yet sent. */
  #handedOver = 0
  /** The chunk whose last piece is being sent. */
  #sentChunk: Buffer | undefined
  /** Bytes wait for the client, so later chunks must be buffered as well. */
  isBehind = false

  constructor(response: ServerResponse, limits: ResponseBufferLimits, memory: ResponseMemory, owner: BufferOwner) {
    this.#response = response
    this.#limits = limits
    this.#memory = memory
    this.#owner = owner
  }

  /** Starts buffering: the client has not read the last write. */
  fallBehind(): void {
    this.isBehind = true
    this.#handedOver = this.#response.writableLength
    this.#response.once('drain', this.#onTaken)
  }

  /** Buffers a chunk. Returns whether there is room for more. */
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

  /** Ends the buffer; calls `finish` when the client has read everything. */
  end(finish: () => void): void {
    this.#onEnd = finish
  }

  /** Discards the buffer after the client left. */
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
      this.#blocks.push({ bytes: chunk, chunk, charge: chunk.length })
      return this.#charge(chunk.length)
    }
    let rest = chunk
    while (rest.length > 0) {
      const open = this.#openBlock ?? this.#newBlock()
      const copied = rest.copy(open, this.#openLength)
      this.#openLength += copied
      const last = this.#blocks.at(-1) as Block
      // The previous block is in the same memory, so it is extended.
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
    // Writing to a closed connection would raise another error.
    if (this.#isClosed || error || this.#response.destroyed) return
    if (this.#sentChunk !== undefined) freeRead(this.#sentChunk)
    this.#sentChunk = undefined
    this.#owner.onProgress(this.#handedOver)
    this.#handedOver = 0
    this.#handOver()
    if (this.#isFull && this.isBehind && this.#charged <= this.#limits.perResponseBytes / 2 && this.hasRoom()) {
      this.#owner.onRoom()
    }
  }

  /** Writes one piece at a time, because Node reports only when everything written has been sent. */
  #handOver(): void {
    const block = this.#blocks[0]
    if (block === undefined) return this.#caughtUp()
    const piece = block.bytes.subarray(0, PIECE_BYTES)
    block.bytes = block.bytes.subarray(piece.length)
    if (block.bytes.length === 0) {
      this.#blocks.shift()
      this.#sentChunk = block.chunk
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
