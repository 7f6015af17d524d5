import { METHODS } from 'node:http'
import { nearestName } from '../nearest-name'
import { refuse, notText, type Parsed } from './parsed'

const KNOWN: ReadonlySet<string> = new Set(METHODS)
const ALLOWED = 'an HTTP method such as GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS'

/** Parses a method that Node's HTTP parser accepts; any other would never arrive. Returned in upper case. */
export function parseMethod(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const method = found.toUpperCase()
  if (method === 'CONNECT') return refuse('opens a tunnel, which the gateway does not support', ALLOWED)
  if (method === 'TRACE')
    return refuse('shows what proxies add to requests, which the gateway does not support', ALLOWED)
  if (method === '*' || method === 'ANY' || method === 'ALL') {
    return refuse('is not a method', `${ALLOWED}; leave "methods" out to allow every one`)
  }
  return KNOWN.has(method) ? { value: method } : refuse('is not a method', ALLOWED, nearestName(method, KNOWN))
}
