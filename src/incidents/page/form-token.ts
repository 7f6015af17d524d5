import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const DAY_MS = 86_400_000

/**
 * Tokens that prove that a form came from a page of this service: another site can make a browser send a form with the
 * reader's login, but cannot read the page. A token belongs to one incident and is valid for one to two days.
 */
export class FormTokens {
  readonly #key: Buffer

  /** @param secret shared by all instances; without one, tokens of another instance or of an earlier start are invalid */
  constructor(secret: string | undefined) {
    this.#key = secret === undefined ? randomBytes(32) : createHmac('sha256', secret).update('forms').digest()
  }

  create(incidentId: string, now: number): string {
    return this.#tokenOf(incidentId, Math.floor(now / DAY_MS))
  }

  isValid(token: string, incidentId: string, now: number): boolean {
    const day = Math.floor(now / DAY_MS)
    const given = Buffer.from(token)
    return [day, day - 1].some(valid => {
      const expected = Buffer.from(this.#tokenOf(incidentId, valid))
      return given.length === expected.length && timingSafeEqual(given, expected)
    })
  }

  #tokenOf(incidentId: string, day: number): string {
    return createHmac('sha256', this.#key).update(`${incidentId} ${day}`).digest('base64url')
  }
}
