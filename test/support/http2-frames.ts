import { openRaw, type RawConnection } from './raw-http'

/** A plain connection that speaks HTTP/2 frame by frame, for what no client would send. */

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const
export const END_STREAM = 1
export const END_HEADERS = 4

const MAX_FRAME = 16_384

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export type Fields = readonly (readonly [name: string, value: string])[]

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Literal fields without indexing (RFC 7541 §6.2.2), so that nothing has to be remembered. */
export function headerBlock(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

export function requestFields(path: string, ...more: Fields): Fields {
  return [[':method', 'GET'], [':scheme', 'http'], [':authority', 'shop.example'], [':path', path], ...more]
}

/** A request without a body, in as many frames as it takes. */
export function requestFrame(stream: number, fields: Fields): Buffer {
  const block = headerBlock(fields)
  const pieces: Buffer[] = []
  for (let at = 0; at < block.length; at += MAX_FRAME) {
    const flags = (at === 0 ? END_STREAM : 0) | (at + MAX_FRAME >= block.length ? END_HEADERS : 0)
    pieces.push(frame(at === 0 ? FRAME.headers : FRAME.continuation, flags, stream, block.subarray(at, at + MAX_FRAME)))
  }
  return Buffer.concat(pieces)
}

export function resetFrame(stream: number, code = 8): Buffer {
  return frame(FRAME.reset, 0, stream, word(code))
}

export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Connected, with the preface and empty settings sent. */
export async function openFrames(port: number, settings: Buffer = Buffer.alloc(0)): Promise<RawConnection> {
  const connection = await openRaw(port)
  connection.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  connection.send(frame(FRAME.settings, 0, 0, settings))
  return connection
}

/** Whole frames that have come so far. */
export function framesOf({ received }: RawConnection): Frame[] {
  const bytes = Buffer.from(received, 'latin1')
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    frames.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
      payload: bytes.subarray(at + 9, end),
    })
    at = end
  }
  return frames
}

/** The code of the last GOAWAY; undefined before there is one. */
export function goawayCode(connection: RawConnection): number | undefined {
  return framesOf(connection)
    .findLast(({ type }) => type === FRAME.goaway)
    ?.payload.readUInt32BE(4)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([prefixed(bytes.length), bytes])
}

/** RFC 7541 §5.1, with a prefix of 7 bits. */
function prefixed(length: number): Buffer {
  if (length < 127) return Buffer.of(length)
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.of(...bytes, rest)
}
