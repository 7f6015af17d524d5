import { Agent, fetch as undiciFetch } from 'undici'
import type { HttpConfig } from './http-config'

/** Sends a request to a backend. As `fetch`, with the credentials and TLS of that backend. */
export type Send = (url: string, init: SendInit) => Promise<Response>

export interface SendInit {
  readonly method?: 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
}

export const sendPlain: Send = async (url, init) => fetch(url, init)

/** Follows no redirect: credentials are meant for this address. */
export function sendWith(config: HttpConfig | undefined): Send {
  if (config === undefined) return sendPlain
  const dispatcher = config.tls === undefined ? undefined : new Agent({ connect: { ...config.tls } })
  return async (url, init) => {
    const headers = { ...init.headers, ...(await config.headers()) }
    // The agent belongs to this version of undici, which is not the one inside Node.
    return undiciFetch(url, { ...init, headers, redirect: 'error', ...(dispatcher && { dispatcher }) })
  }
}
