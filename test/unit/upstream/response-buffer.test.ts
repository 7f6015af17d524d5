import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { ResponseBuffer, ResponseMemory } from '../../../src/upstream/response-buffer'

const KIB = 1_024

/** A response whose client takes what it has been given when the test says so. */
class HeldResponse extends EventEmitter {
  destroyed = false
  writableLength = 0
  taken = Buffer.alloc(0)
  #given: Buffer[] = []
  #done: ((error?: Error | null) => void) | undefined

  write(chunk: Buffer, done: (error?: Error | null) => void): boolean {
    this.#given.push(Buffer.from(chunk))
    this.writableLength += chunk.length
    this.#done = done
    return true
  }

  /** The client reads what is there; false when there is nothing. */
  take(): boolean {
    const done = this.#done
    this.#done = undefined
    this.taken = Buffer.concat([this.taken, ...this.#given])
    this.#given = []
    this.writableLength = 0
    if (done) done()
    else return this.emit('drain')
    return true
  }

  takeAll(): void {
    let rounds = 0
    while (this.take()) assert.ok(++rounds < 10_000)
  }
}

describe('the buffer of a response', () => {
  let response: HeldResponse
  let memory: ResponseMemory
  let rooms = 0
  let progress = 0
  let ends = 0

  function start(perResponseBytes: number, totalBytes = 64 * KIB * KIB): ResponseBuffer {
    response = new HeldResponse()
    memory = new ResponseMemory()
    rooms = progress = ends = 0
    return another(perResponseBytes, totalBytes)
  }
  function another(perResponseBytes: number, totalBytes: number): ResponseBuffer {
    const buffer = new ResponseBuffer(response as unknown as ServerResponse, { perResponseBytes, totalBytes }, memory, {
      onRoom: () => rooms++,
      onProgress: bytes => (progress += bytes),
      onCaughtUp: () => undefined,
    })
    buffer.fallBehind()
    return buffer
  }
  const chunk = (bytes: number, value: number): Buffer => Buffer.alloc(bytes, value)

  it('hands on everything in order, small chunks and large ones, and then its end', () => {
    const buffer = start(1_024 * KIB)
    const chunks = [5, 9_000, 100, 40_000, 1, 16_384, 8_191, 70_000, 3].map((bytes, i) => chunk(bytes, i + 1))
    // Joined before, because the buffer frees the memory of a large chunk when the client has it.
    const all = Buffer.concat(chunks)
    for (const one of chunks) assert.equal(buffer.write(one), true)
    buffer.end(() => ends++)
    response.takeAll()
    assert.ok(response.taken.equals(all))
    assert.deepEqual([ends, memory.usage, buffer.isBehind], [1, 0, false])
    assert.equal(progress, response.taken.length)
  })

  it('hands on small chunks that come while others are being taken', () => {
    const buffer = start(1_024 * KIB)
    const chunks: Buffer[] = []
    for (let i = 0; i < 200; i++) {
      const one = chunk(1 + ((i * 379) % 3_000), i)
      chunks.push(one)
      buffer.write(one)
      if (i % 3 === 0) response.take()
      if (!buffer.isBehind) buffer.fallBehind()
    }
    response.takeAll()
    assert.ok(response.taken.equals(Buffer.concat(chunks)))
    assert.equal(memory.usage, 0)
  })

  it('says when it is full, and once that half of it is free', () => {
    const buffer = start(64 * KIB)
    assert.equal(buffer.write(chunk(32 * KIB, 1)), true)
    assert.equal(buffer.write(chunk(32 * KIB, 2)), false)
    response.take()
    assert.equal(rooms, 0)
    response.takeAll()
    assert.equal(rooms, 1)
  })

  it('charges the memory that it holds, however small the chunks are', () => {
    const buffer = start(64 * KIB)
    let written = 0
    while (buffer.write(chunk(1, 1))) written++
    assert.ok(written <= 64 * KIB && memory.usage <= 80 * KIB, `${written} bytes, ${memory.usage} charged`)
    assert.ok(memory.usage >= written)
  })

  it('keeps within the bound of all together, and tells how often that was reached', () => {
    const buffer = start(64 * KIB, 96 * KIB)
    let exhausted = 0
    memory.onExhausted = () => exhausted++
    buffer.write(chunk(64 * KIB, 1))
    const other = another(64 * KIB, 96 * KIB)
    assert.equal(other.write(chunk(32 * KIB, 1)), false)
    assert.deepEqual([memory.usage, exhausted], [96 * KIB, 1])
    buffer.close()
    assert.equal(memory.usage, 32 * KIB)
    assert.equal(other.hasRoom(), true)
  })

  it('is empty when the client has gone, and hands on nothing more', () => {
    const buffer = start(64 * KIB)
    buffer.write(chunk(60 * KIB, 1))
    buffer.close()
    assert.equal(memory.usage, 0)
    response.take()
    buffer.close()
    assert.deepEqual([memory.usage, response.writableLength, progress], [0, 0, 0])
  })
})
