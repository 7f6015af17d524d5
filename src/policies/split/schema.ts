import { z } from 'zod'
import { durationField, headerName, headerValue, nameField, numberField } from '../../config/fields'
import { choice } from '../../config/values/choice'
import {
  COOKIE_NAME_PATTERN,
  COOKIE_VALUE_PATTERN,
  parseCookieName,
  parseCookieValue,
  parseOwnCookieName,
} from '../../config/values/cookie-name'
import { field } from '../../config/values/field'
import { parseConditionName, toFields } from '../../config/values/header'
import { referenceTo } from '../../config/values/name'

/** The default cookie. Routes share it, so that a client gets the same variant of all routes with equal splits. */
export const VARIANT_COOKIE = 'gateway-variant'
const MAX_VARIANTS = 10
const MAX_WEIGHT = 1_000

const cookieName = field(parseCookieName, {
  description: 'The name of a cookie.',
  type: 'string',
  pattern: COOKIE_NAME_PATTERN,
})
const cookieValue = field(parseCookieValue, {
  description: 'The value of the cookie.',
  type: 'string',
  pattern: COOKIE_VALUE_PATTERN,
})

const testersSchema = z
  .strictObject({
    headers: z
      .record(headerName(parseConditionName), headerValue)
      .prefault({})
      .transform(map => toFields(map))
      .meta({ description: 'Header fields by name, each with its exact value.', value: 'map of names to values' }),
    cookies: z
      .record(cookieName, cookieValue)
      .prefault({})
      .transform(map => Object.entries(map).map(([name, value]) => ({ name, value })))
      .meta({ description: 'Cookies by name, each with its exact value.', value: 'map of names to values' }),
  })
  .meta({
    description:
      'Requests with any of these fields or cookies get this variant, whatever its weight: for testers. They are not sticky.',
  })

const variantSchema = z
  .strictObject({
    name: nameField(
      'Name of the variant, in metrics, traces, logs and pages. Alerts compare the others with the first.',
    ),
    upstream: field(referenceTo('an upstream'), {
      description: 'Upstream of this variant. Retries go to the same upstream.',
      value: 'name',
      type: 'string',
    }),
    weight: numberField(
      'Share of the requests, relative to the other variants. `0`: only requests that `match` selects.',
      { atLeast: 0, atMost: MAX_WEIGHT },
    ),
    match: testersSchema.optional(),
  })
  .meta({ description: 'One of the upstreams that requests are split over.' })

export const splitSchema = z
  .strictObject({
    variants: z
      .array(variantSchema)
      .min(2)
      .max(MAX_VARIANTS)
      .meta({
        description: `The variants, 2 to ${MAX_VARIANTS}.`,
        value: 'list of maps',
      }),
    stickyBy: field(
      choice(['cookie', 'client', 'none'], { session: 'cookie', ip: 'client', address: 'client', consumer: 'client' }),
      {
        description:
          'How a client stays with its variant: by a cookie (`cookie`), by its consumer or else its address (`client`, IPv6: the /56 block), or not at all (`none`: each request is drawn anew). Changed weights move only as many clients as needed.',
        type: 'string',
        enum: ['cookie', 'client', 'none'],
      },
    ).prefault('cookie'),
    cookie: z
      .strictObject({
        name: field(parseOwnCookieName, {
          description:
            'Its name. The value is a random number, not the variant, so that routes with equal variants and weights agree about a client.',
          type: 'string',
          pattern: COOKIE_NAME_PATTERN,
        }).prefault(VARIANT_COOKIE),
        ttl: durationField('How long it is valid. Left out: until the browser is closed.', {
          atLeast: '1s',
        }).optional(),
      })
      .prefault({})
      .meta({ description: 'The cookie of `stickyBy: cookie`: `HttpOnly`, `SameSite=Lax`, and `Secure` over TLS.' }),
  })
  .meta({
    description:
      'Splits requests over several upstreams by weight, for a canary or an experiment ([more](canary.md)). Instead of `upstream`.',
  })
  .transform(({ variants, stickyBy, cookie: { name, ttl } }) => ({ variants, stickyBy, cookie: { name, ttlMs: ttl } }))
