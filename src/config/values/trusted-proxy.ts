import { isIP } from 'node:net'
import { refuse, notText, type Parsed } from './parsed'

const ALLOWED = 'an address or a CIDR block, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8'

/**
 * Names that other software accepts, with the addresses to write instead, so that the file says exactly what it trusts.
 */
const NAMES: Readonly<Record<string, string>> = {
  loopback: '127.0.0.0/8',
  localhost: '127.0.0.1',
  linklocal: '169.254.0.0/16',
  uniquelocal: '10.0.0.0/8',
  private_ranges: '10.0.0.0/8',
}

/**
 * Parses an address or CIDR block whose forwarding headers are trusted. "Everyone" and hop counts are rejected: a
 * client can prepend any number of addresses and so choose which one is taken as its own.
 */
export function parseTrustedProxy(found: unknown): Parsed<string> {
  if (typeof found === 'number')
    return refuse('is a hop count: clients can add as many addresses as they like', ALLOWED)
  if (found === true) return refuse('would trust every client to name its own address', ALLOWED)
  const parsed = parseBlock(found)
  if ('value' in parsed && parsed.value.endsWith('/0')) {
    return refuse('would trust every client to name its own address', ALLOWED)
  }
  return parsed
}

/** Parses an address or CIDR block whose clients are not limited. */
export function parseBypass(found: unknown): Parsed<string> {
  const parsed = parseBlock(found)
  return 'value' in parsed && parsed.value.endsWith('/0') ? refuse('would allow every client', ALLOWED) : parsed
}

/** Parses an address or CIDR block whose clients are allowed or denied. */
export function parseAccess(found: unknown): Parsed<string> {
  const parsed = parseBlock(found)
  return 'value' in parsed && parsed.value.endsWith('/0') ? refuse('would be every client', ALLOWED) : parsed
}

function parseBlock(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const [address = '', prefix, ...more] = found.split('/')
  const version = isIP(address)
  const name = Object.hasOwn(NAMES, found.toLowerCase()) ? NAMES[found.toLowerCase()] : undefined
  if (version === 0 || more.length > 0 || address.includes('%')) return refuse('is not an address', ALLOWED, name)
  if (prefix === undefined) return { value: address.toLowerCase() }
  const longest = version === 4 ? 32 : 128
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > longest) {
    return refuse(`has no prefix length from 1 to ${longest} behind its "/"`, ALLOWED)
  }
  return { value: `${address.toLowerCase()}/${Number(prefix)}` }
}
