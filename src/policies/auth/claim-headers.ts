import { parseIdentityName } from '../../config/values/header'
import { notText, refuse, type Parsed } from '../../config/values/parsed'
import { InvalidToken } from './token-verifier'

/** Maximum number of claims that become fields, and the longest value of one. */
const MOST_CLAIMS = 32
const LONGEST_VALUE = 1_024
/** Maximum number of elements of a list that are looked at. */
const MOST_ELEMENTS = 256

/** A field name, lower case, with the path of its claim. */
export interface ClaimHeader {
  readonly name: string
  readonly path: readonly string[]
}

const ALLOWED = 'a map of field names to claims, such as { x-user-email: email }'
const CLAIM = /^[^\r\n\0]{1,256}$/

/** Parses a map of field names to claims. `realm_access.roles` is the claim `roles` in the claim `realm_access`. */
export function parseClaimHeaders(found: unknown): Parsed<readonly ClaimHeader[]> {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    return found === undefined || found === null ? notText(found, ALLOWED) : refuse('is not a map', ALLOWED)
  }
  const headers: ClaimHeader[] = []
  for (const [field, claim] of Object.entries(found as Record<string, unknown>)) {
    const name = parseIdentityName(field)
    if (!('value' in name)) return refuse(`has "${field}", which ${name.mistake.problem}`, ALLOWED)
    if (typeof claim !== 'string' || !CLAIM.test(claim) || claim.split('.').includes('')) {
      return refuse(`has no claim for "${field}"`, 'the name of a claim, such as email or realm_access.roles')
    }
    if (headers.some(earlier => earlier.name === name.value)) return refuse(`has "${field}" twice`, ALLOWED)
    headers.push({ name: name.value, path: claim.split('.') })
  }
  return headers.length <= MOST_CLAIMS ? { value: headers } : refuse('has too many claims', `at most ${MOST_CLAIMS}`)
}

/**
 * Returns the fields of a token's claims as flat name, value pairs; a claim that the token does not have has none.
 *
 * @throws InvalidToken for a value that a field cannot carry: leaving it out could make its owner someone else
 */
export function fieldsOfClaims(headers: readonly ClaimHeader[], claims: Readonly<Record<string, unknown>>): string[] {
  const fields: string[] = []
  for (const { name, path } of headers) {
    const value = claimAt(claims, path)
    if (value === undefined || value === null) continue
    const text = textOf(value)
    if (text === undefined) throw unfit(path, 'is neither text, number, boolean nor a list of these')
    if (text.length > LONGEST_VALUE) throw unfit(path, `is longer than ${LONGEST_VALUE} characters`)
    if (!/^[\x20-\x7e]*$/.test(text)) throw unfit(path, 'has characters that do not belong into a header field')
    if (text.trim() !== '') fields.push(name, text)
  }
  return fields
}

/** Looks for the whole name first: issuers use URLs as names of claims, and those have dots. */
function claimAt(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  const whole = path.join('.')
  if (Object.hasOwn(claims, whole)) return claims[whole]
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** Formats a claim; a list is joined by commas, so its elements must have none. */
function textOf(value: unknown): string | undefined {
  if (!Array.isArray(value)) return scalarText(value)
  if (value.length > MOST_ELEMENTS) return undefined
  const texts = value.map(scalarText)
  return texts.some(text => text === undefined || text.includes(',')) ? undefined : texts.join(',')
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function unfit(path: readonly string[], problem: string): InvalidToken {
  return new InvalidToken(`the claim "${path.join('.')}" ${problem}`, 'a claim of the token cannot be forwarded')
}
