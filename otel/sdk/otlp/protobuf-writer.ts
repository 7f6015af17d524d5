const FIRST_BYTES = 64 * 1024
/**
 * Maximum size of the buffer that is reused: one that grew larger for one message is dropped. 512 spans take about 200
 * kB.
 */
const MOST_KEPT_BYTES = 1024 * 1024
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5
/** Maximum length of texts that are copied in JavaScript: for short ones the native call costs more than the copy. */
const LONGEST_COPIED_HERE = 48

/**
 * Writes protobuf messages from start to end into one buffer that is reused. A message's size is known only at its end:
 * room for it is reserved, and the message is moved if the guess was wrong.
 */
export class ProtobufWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #length = 0

  /** Returns a copy of the written bytes and starts the next message. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#bytes.subarray(0, this.#length))
    this.#length = 0
    if (this.#bytes.length > MOST_KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
    return taken
  }

  /** Discards the written bytes. */
  clear(): void {
    this.#length = 0
  }

  /** Length of the open message so far. */
  get length(): number {
    return this.#length
  }

  /** A copy of the bytes written since `start`. */
  copySince(start: number): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(start, this.#length))
  }

  /** Begins a message in a field. @param sizeBytes bytes reserved for its size: 1 below 128 bytes, 2 below 16 kB */
  begin(field: number, sizeBytes: 1 | 2): number {
    this.#tag(field, BYTES)
    this.#reserve(sizeBytes)
    return (this.#length += sizeBytes)
  }

  /** Ends the message that `begin` began at `start`. */
  end(start: number, sizeBytes: 1 | 2): void {
    const size = this.#length - start
    const needed = varintBytes(size)
    if (needed !== sizeBytes) {
      this.#reserve(needed - sizeBytes)
      this.#bytes.copyWithin(start + needed - sizeBytes, start, this.#length)
    }
    this.#length = start - sizeBytes
    this.#varint(size)
    this.#length += size
  }

  /** Writes bytes that `copySince` returned, including their field number. */
  copied(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  text(field: number, text: string): void {
    this.#tag(field, BYTES)
    const { length } = text
    this.#reserve(5 + length * 3)
    if (length <= LONGEST_COPIED_HERE && this.#asciiText(text)) return
    const size = Buffer.byteLength(text)
    this.#varint(size)
    // latin1 is the same for ASCII, and a plain copy.
    this.#length += this.#bytes.write(text, this.#length, size === length ? 'latin1' : 'utf8')
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#tag(field, BYTES)
    this.#varint(bytes.length)
    this.copied(bytes)
  }

  /** Writes an id given as hexadecimal digits as bytes. */
  hex(field: number, digits: string): void {
    this.#tag(field, BYTES)
    const size = digits.length >> 1
    this.#varint(size)
    this.#reserve(size)
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < digits.length; i += 2) {
      bytes[at++] = (nibble(digits.charCodeAt(i)) << 4) | nibble(digits.charCodeAt(i + 1))
    }
    this.#length = at
  }

  /** Writes a whole number; a negative one as 64 bits in two's complement. */
  integer(field: number, value: number): void {
    this.#tag(field, VARINT)
    this.#unsigned(value)
  }

  /** Writes a whole number, possibly negative, in zigzag form. */
  zigzag(field: number, value: number): void {
    this.integer(field, value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** Writes a whole number as 64 bits; a negative one in two's complement. */
  fixed64(field: number, value: number): void {
    this.#tag(field, FIXED64)
    this.#fixed64(value)
  }

  /** Writes a list of whole numbers, packed, as 64 bits each. */
  packedFixed64(field: number, values: readonly number[]): void {
    this.#tag(field, BYTES)
    this.#varint(values.length * 8)
    for (const value of values) this.#fixed64(value)
  }

  packedDoubles(field: number, values: readonly number[]): void {
    this.#tag(field, BYTES)
    this.#varint(values.length * 8)
    this.#reserve(values.length * 8)
    for (const value of values) this.#length = this.#bytes.writeDoubleLE(value, this.#length)
  }

  /** Writes a list of whole numbers of at least 0, packed. */
  packedIntegers(field: number, values: readonly number[]): void {
    const start = this.begin(field, 2)
    for (const value of values) this.#unsigned(value)
    this.end(start, 2)
  }

  double(field: number, value: number): void {
    this.#tag(field, FIXED64)
    this.#reserve(8)
    this.#length = this.#bytes.writeDoubleLE(value, this.#length)
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, FIXED32)
    this.#reserve(4)
    this.#length = this.#bytes.writeUInt32LE(value, this.#length)
  }

  /** Writes a time as 64-bit nanoseconds, which a JavaScript number cannot hold, so it is computed in two halves. */
  nanoseconds(field: number, [seconds, nanos]: readonly [number, number]): void {
    this.#tag(field, FIXED64)
    this.#reserve(8)
    const low = (seconds % 65_536) * 1e9 + nanos
    const upper = Math.floor(seconds / 65_536) * 1e9 // times 2 ** 16
    const low32 = (low % 2 ** 32) + (upper % 65_536) * 65_536
    const high32 = Math.floor(low / 2 ** 32) + Math.floor(upper / 65_536) + Math.floor(low32 / 2 ** 32)
    this.#bytes.writeUInt32LE(low32 % 2 ** 32, this.#length)
    this.#length = this.#bytes.writeUInt32LE(high32, this.#length + 4)
  }

  #asciiText(text: string): boolean {
    const { length } = text
    const bytes = this.#bytes
    const start = this.#length + 1
    let all = 0
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      all |= code
      bytes[start + i] = code
    }
    if (all > 127) return false
    bytes[this.#length] = length
    this.#length = start + length
    return true
  }

  #tag(field: number, wireType: number): void {
    this.#varint((field << 3) | wireType)
  }

  #unsigned(value: number): void {
    if (value >= 0 && value < 2 ** 31) this.#varint(value)
    else this.#longVarint(BigInt.asUintN(64, BigInt(value)))
  }

  #fixed64(value: number): void {
    this.#reserve(8)
    // Two halves: a number of JavaScript holds 53 bits, of which the upper half may be negative.
    const high = Math.floor(value / 2 ** 32)
    this.#bytes.writeUInt32LE(value - high * 2 ** 32, this.#length)
    this.#length = this.#bytes.writeInt32LE(high, this.#length + 4)
  }

  #varint(value: number): void {
    this.#reserve(5)
    let rest = value
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#bytes[this.#length++] = rest
  }

  #longVarint(value: bigint): void {
    this.#reserve(10)
    let rest = value
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128
    this.#bytes[this.#length++] = Number(rest)
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + size))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

function varintBytes(size: number): number {
  return size < 128 ? 1 : size < 16_384 ? 2 : size < 2_097_152 ? 3 : size < 268_435_456 ? 4 : 5
}

/** The value of a hexadecimal digit, upper or lower case. */
function nibble(code: number): number {
  return code < 58 ? code - 48 : (code | 32) - 87
}
