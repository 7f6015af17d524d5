import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { plainAddress } from '../exchange/peer'

/** An address with a port, or an IPv6 address in brackets; the port may be a made-up name (RFC 7239 §6). */
const NODE = /^(?:\[([^\]]*)\]|([^:]*))(?::(?:\d+|_[\w.-]+))?$/

/** Up to the next `;` or `,`: a parameter of `Forwarded`, or nothing. Quotes are not always where they ought to be. */
const PARAMETER = /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))[ \t]*)?(;|,|$)/y

/** One hop: from whom a proxy has the request, and how it was asked. */
export interface Hop {
  /** As it is written: `192.0.2.1:80`, `[2001:db8::1]`, `unknown`, `_hidden`. */
  readonly node: string
  readonly host: string | undefined
  readonly proto: string | undefined
}

/** The entries of a field that is a list. */
export function listed(field: string | string[] | undefined): string[] {
  return String(field ?? '')
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')
}

/**
 * The hops of `X-Forwarded-For`, the nearest last. Host and scheme are those of all hops where the fields beside it have as
 * many entries, and else those of none (RFC 7239 §7.4).
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

/** The address of a node without its port; undefined for `unknown`, `_hidden` and everything else that is not an address. */
export function addressOfNode(node: string): string | undefined {
  const [, bracketed, bare] = isIP(node) === 0 ? (NODE.exec(node) ?? []) : [node, node]
  const address = bracketed ?? bare ?? ''
  return isIP(address) === 0 ? undefined : plainAddress(address)
}

/**
 * The hops of `Forwarded` (RFC 7239 §4), the nearest last; one without `for=` is `unknown`. Undefined where the field is
 * malformed: a quote that a client left open would take what the proxy says for its own.
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
