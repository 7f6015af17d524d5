import { randomFillSync } from 'node:crypto'

/** Random bytes drawn in advance: one system call per id would cost more than the rest of a span. */
const pool = Buffer.alloc(8_192)
let used = pool.length

/** A random trace id (16 bytes) or span id (8 bytes) as hexadecimal digits. */
export function randomId(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const start = used
  used += bytes
  return pool.toString('hex', start, used)
}
