import { notText, refuse, type Parsed } from './parsed'

/** The `Host` field sent to an upstream: `target` for the target's own, `client` for the client's, or a fixed name. */
export type HostSent = string

const ALLOWED = 'target, client, or a host name with or without a port, such as shop.example'
const NAME = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::\d{1,5})?$/

export const HOST_SENT_PATTERN = '^(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)(?::\\d{1,5})?$'

export function parseHostSent(found: unknown): Parsed<HostSent> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const host = found.toLowerCase()
  if (host.includes('://')) return refuse('is a URL, not a host name', ALLOWED)
  return NAME.test(host) ? { value: host } : refuse('is not a host name', ALLOWED)
}

/** Describes the value for people. */
export function hostSentText(host: HostSent): string {
  if (host === 'target') return "the target's own"
  return host === 'client' ? "the client's" : host
}
