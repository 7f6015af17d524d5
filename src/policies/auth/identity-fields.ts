import type { AttemptHook } from '../../exchange/exchange'
import { withoutCookies } from './presented'

export interface IdentityFields {
  /** Names of fields that only the gateway sets on this route; lower case. */
  readonly names: readonly string[]
  /** Cookies with credentials that are not forwarded. */
  readonly withheldCookies: readonly string[]
}

/**
 * Creates the hook that writes who the client is into the request for the upstream (`exchange.identityFields`). It removes
 * fields of the same names that the client sent, also with `_` for `-`: for CGI and its successors they are the same.
 *
 * @returns undefined if there is nothing to write or remove
 */
export function createIdentityHook({ names, withheldCookies }: IdentityFields): AttemptHook | undefined {
  if (names.length === 0 && withheldCookies.length === 0) return undefined
  const owned = new Set(names.map(withDashes))
  const cookies = new Set(withheldCookies)
  return function writeIdentity({ identityFields }, { fields }) {
    let kept = 0
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      if (owned.has(withDashes(name))) continue
      const written = fields[i + 1] as string
      const value = name === 'cookie' && cookies.size > 0 ? withoutCookies(written, cookies) : written
      if (value === undefined) continue
      fields[kept++] = name
      fields[kept++] = value
    }
    fields.length = kept
    if (identityFields !== undefined) fields.push(...identityFields)
  }
}

function withDashes(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name
}
