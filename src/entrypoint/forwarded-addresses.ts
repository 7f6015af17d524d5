import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { plainAddress } from '../exchange/peer'

/** An address with a port, or an IPv6 address in brackets; the port may be a made-up name (RFC 7239 §6). */
const NODE = /^(?:\[([^\]]*)\]|([^:]*))(?::(?:\d+|_[\w.-]+))?$/

/** Up to the next `;` or `,`: a parameter of `Forwarded`, or nothing. Quotes are not always where they ought to be. */
const PARAMETER = /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))[ \t]*)?(;|,|$)/y

/** What a proxy says of whom it has a request from, hop by hop, the nearest last. `Forwarded` only where nothing else is said. */
export function saidAddresses({ headers }: IncomingMessage): readonly string[] {
  const forwardedFor = headers['x-forwarded-for']
  if (forwardedFor === undefined) return headers.forwarded === undefined ? [] : forwardedNodes(headers.forwarded)
  return String(forwardedFor)
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')
}

/** The address of such an entry without its port; undefined for `unknown`, `_hidden` and everything else that is none. */
export function saidAddress(entry: string): string | undefined {
  const [, bracketed, bare] = isIP(entry) === 0 ? (NODE.exec(entry) ?? []) : [entry, entry]
  const address = bracketed ?? bare ?? ''
  return isIP(address) === 0 ? undefined : plainAddress(address)
}

/**
 * The `for=` of each element (RFC 7239 §4); `unknown` for one that says nothing. Nothing at all where the field is malformed:
 * a quote that a client left open would take what the proxy says for its own.
 */
function forwardedNodes(field: string): readonly string[] {
  const nodes: string[] = []
  let node: string | undefined
  let isEmpty = true
  PARAMETER.lastIndex = 0
  for (;;) {
    const found = PARAMETER.exec(field)
    if (found === null) return []
    const [, name, quoted, token, end] = found
    if (name !== undefined) isEmpty = false
    if (name?.toLowerCase() === 'for') {
      if (node !== undefined) return []
      node = quoted?.replace(/\\(.)/g, '$1') ?? token
    }
    if (end === ';') continue
    if (!isEmpty) nodes.push(node ?? 'unknown')
    if (end === '') return nodes
    node = undefined
    isEmpty = true
  }
}
