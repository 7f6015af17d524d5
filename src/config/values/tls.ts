import { isIP } from 'node:net'
import { notText, refuse, type Parsed } from './parsed'

const FILE = 'the path of a PEM file'
const NAME = 'a host name, such as orders.internal'

export function parseFilePath(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, FILE)
  if (found === '') return refuse('is empty', FILE)
  if (found.includes('-----BEGIN')) return refuse('is what a file should hold, not its path', FILE)
  return { value: found }
}

/** RFC 6066 §3 knows no addresses in SNI. */
export function parseServerName(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, NAME)
  if (isIP(found) !== 0) return refuse('is an address', NAME)
  if (!/^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(found)) {
    return refuse('is not a host name', NAME)
  }
  return { value: found }
}
