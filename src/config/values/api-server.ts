import { parseOrigin } from './origin'
import { refuse, type Parsed } from './parsed'

const ALLOWED = 'https, or http on this machine (kubectl proxy), such as https://10.96.0.1:443'
const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|\[::1\]|localhost)$/

/** The API server of a Kubernetes cluster. Without TLS only on loopback: a token would be readable on the way. */
export function parseApiServer(found: unknown): Parsed<string> {
  const origin = parseOrigin(found)
  if (!('value' in origin)) return origin
  const { protocol, hostname } = new URL(origin.value)
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) return refuse('has no TLS', ALLOWED)
  return origin
}
