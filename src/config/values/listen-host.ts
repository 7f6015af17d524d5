import { isIP } from 'node:net'
import { refuse, type Parsed } from './parsed'

const ALLOWED = 'an address or a host name without a port, such as 0.0.0.0, 127.0.0.1, :: or localhost'

/** Parses a host for `server.listen`. */
export function parseListenHost(found: unknown): Parsed<string> {
  const text = String(found)
  if (isIP(text) !== 0) return { value: text }
  if (text === '*') return refuse('is not an address', ALLOWED, '0.0.0.0')
  if (/^\[.*\]$/.test(text) && isIP(text.slice(1, -1)) === 6) return refuse('has brackets', ALLOWED, text.slice(1, -1))
  if (text.includes('://')) return refuse('is a URL', ALLOWED)
  if (/:\d+$/.test(text))
    return refuse('has a port: that has a variable of its own', ALLOWED, text.replace(/:\d+$/, ''))
  // Four numbers that are not an address would be resolved as a name and fail with a confusing DNS error.
  const isName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/.test(text) && !/^[\d.]+$/.test(text)
  return isName ? { value: text } : refuse('is neither an address nor a host name', ALLOWED)
}
