/** Forwarding fields from trusted proxies. Both families of fields agree, so that upstreams cannot see two clients. */
export interface ProxyForwarding {
  /** `Forwarded` (RFC 7239); undefined if the proxies name no client. */
  readonly forwarded: string | undefined
  /** `X-Forwarded-For`, `X-Forwarded-Host`, `X-Forwarded-Proto`; undefined if the proxies do not send it. */
  readonly for: string | undefined
  readonly host: string | undefined
  readonly proto: string | undefined
}

/** A node of `Forwarded` (RFC 7239 §6): an address, with a port or without, `unknown`, or a name that a proxy made up. */
const PLAIN_NODE = /^(?:[\d.]+|unknown|_[\w.-]+)$/i
const QUOTED_NODE = /^(?:[\d.]+|\[[\da-f:.]+\])(?::(?:\d{1,5}|_[\w.-]+))?$/i
/** A scheme (RFC 3986 §3.1), and a host that fits into quotes. */
const PROTO = /^[a-z][a-z\d+.-]*$/i
const HOST = /^[\w.:[\]-]+$/

/** Formats one element of `Forwarded`. Omits invalid values of host and scheme; an invalid node becomes `unknown`. */
export function forwardedElement(node: string, host: string | undefined, proto: string | undefined): string {
  let element = `for=${forwardedNode(node)}`
  if (host !== undefined && HOST.test(host)) element += `;host="${host}"`
  if (proto !== undefined && PROTO.test(proto)) element += `;proto=${proto}`
  return element
}

/** Formats a node; an IPv6 address is put in brackets and quotes. */
function forwardedNode(node: string): string {
  if (PLAIN_NODE.test(node)) return node
  if (QUOTED_NODE.test(node)) return `"${node}"`
  return /^[\da-f:.]+:[\da-f:.]*$/i.test(node) ? `"[${node}]"` : 'unknown'
}
