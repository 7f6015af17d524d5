import { refuse, type Parsed } from './parsed'

/** A token of structured fields (RFC 9651 §3.3.4). */
export const PROXY_NAME_PATTERN = "^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,63}$"
const TOKEN = new RegExp(PROXY_NAME_PATTERN)
const DEFAULT_NAME = 'myesi-gateway'

/** Parses the gateway's name in `Proxy-Status`; undefined: the field is not sent. */
export function parseProxyName(found: unknown): Parsed<string | undefined> {
  if (found === true) return { value: DEFAULT_NAME }
  if (found === false) return { value: undefined }
  if (typeof found === 'string' && TOKEN.test(found)) return { value: found }
  return refuse('is not a name for Proxy-Status', 'true, false, or a token such as edge-1.shop.example')
}
