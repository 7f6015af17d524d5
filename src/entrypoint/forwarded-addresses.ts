import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { plainAddress } from '../exchange/peer'

/** An address with a port, or an IPv6 address in brackets; the port may be an obfuscated name (RFC 7239 §6). */
const NODE = /^(?:\[([^\]]*)\]|([^:]*))(?::(?:\d+|_[\w.-]+))?$/

/** A parameter of `Forwarded`, or nothing, up to the next `;` or `,`. Tolerates missing quotes. */
const PARAMETER = /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))[ \t]*)?(;|,|$)/y

/** One hop: the peer from which a proxy got the request, with host and scheme of that request. */
export interface Hop {
  /** Node as written: `192.0.2.1:80`, `[2001:db8::1]`, `unknown`, `_hidden`. */
  readonly node: string
  readonly host: string | undefined
  readonly proto: string | undefined
}

/** Splits a list field into its entries. */
export function listed(field: string | string[] | undefined): string[] {
  return String(field ?? '')
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')
}

/**
 * Returns the hops of `X-Forwarded-For`, nearest last. Host and scheme are assigned to the hops only if their fields have
 * the same number of entries (RFC 7239 §7.4).
 */
export function hopsOfX(headers: IncomingHttpHeaders): Hop[] {
  const nodes = listed(headers['x-forwarded-for'])
  const of = (name: string): (string | undefined)[] => {
    const entries = listed(headers[name])
    return entries.length === nodes.length ? entries : []
  }
  const [hosts, protos] = [of('x-forwarded-host'), of('x-forwarded-proto')]
  return nodes.map((node, i) => ({ node, host: hosts[i], proto: protos[i] }))
}

/** Returns the address of a node without port; undefined for `unknown`, `_hidden` and other text. */
export function addressOfNode(node: string): string | undefined {
  const [, bracketed, bare] = isIP(node) === 0 ? (NODE.exec(node) ?? []) : [node, node]
  const address = bracketed ?? bare ?? ''
  return isIP(address) === 0 ? undefined : plainAddress(address)
}

/**
 * Returns the hops of `Forwarded` (RFC 7239 §4), nearest last; a hop without `for=` is `unknown`. Undefined if the field
 * is malformed: with an open quote, a client could swallow the element that the proxy appends.
 */
export function hopsOfForwarded(field: string): Hop[] | undefined {
  const hops: Hop[] = []
  let parameters = new Map<string, string>()
  PARAMETER.lastIndex = 0
  for (;;) {
    const found = PARAMETER.exec(field)
    if (found === null) return undefined
    const [, name, quoted, token = '', end] = found
    if (name !== undefined) {
      const key = name.toLowerCase()
      if (parameters.has(key)) return undefined
      parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token)
    }
    if (end === ';') continue
    if (parameters.size > 0) {
      hops.push({
        node: parameters.get('for') ?? 'unknown',
        host: parameters.get('host'),
        proto: parameters.get('proto'),
      })
    }
    if (end === '') return hops
    parameters = new Map()
  }
}
