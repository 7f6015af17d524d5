import { isIP } from 'node:net'
import { notText, refuse, type Parsed } from './parsed'

const ALLOWED = 'an address, or an address with a port: 10.0.0.2, 127.0.0.1:8600, [::1]:53'

/** A name server, as `dns.setServers` takes it. */
export function parseResolver(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (isIP(found) !== 0) return { value: found }
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(found) ?? []
  const isAddress = bracketed === undefined ? isIP(plain ?? '') === 4 : isIP(bracketed) === 6
  if (!isAddress || Number(port) < 1 || Number(port) > 65_535) return refuse('is not the address of a server', ALLOWED)
  return { value: found }
}
