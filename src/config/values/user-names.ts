import { parsePasswordHash, type PasswordHash } from './password-hash'
import { notText, refuse, type Parsed } from './parsed'

/** A user of Basic authentication. */
export interface UserConfig {
  readonly name: string
  readonly password: PasswordHash
}

const MOST_USERS = 1_000
const ALLOWED = 'a map of user names to hashes of passwords'
const USER = /^[^:\p{Cc}]{1,128}$/u

/** Parses the users of a consumer. */
export function parseUsers(found: unknown): Parsed<readonly UserConfig[]> {
  if (found === undefined || found === null) return notText(found, ALLOWED)
  if (typeof found !== 'object' || Array.isArray(found)) return refuse('is not a map', ALLOWED)
  const users: UserConfig[] = []
  for (const [name, written] of Object.entries(found as Record<string, unknown>)) {
    if (!USER.test(name))
      return refuse('has a user name that cannot be sent', 'text without ":", at most 128 characters')
    const password = parsePasswordHash(written)
    if (!('value' in password)) {
      const { problem, allowed } = password.mistake
      return {
        mistake: { problem: `has an entry "${name}" that ${problem}`, allowed: allowed ?? ALLOWED, isSecret: true },
      }
    }
    users.push({ name, password: password.value })
  }
  return users.length <= MOST_USERS ? { value: users } : refuse('has too many users', `at most ${MOST_USERS}`)
}
