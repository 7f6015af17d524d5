import { z } from 'zod'
import { checkFieldNames } from '../../config/field-names-check'
import { headerName, headerValue, numberField } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import { field } from '../../config/values/field'
import { parseBody, parseResponseEditName, toFields } from '../../config/values/header'
import { mistake } from '../../config/values/parsed'
import { ANSWERED, type Stage } from '../../exchange/exchange'
import { sendLocalReply, type LocalReply } from '../../exchange/local-reply'
import { definePolicy } from '../define-policy'

const schema = z
  .strictObject({
    status: numberField('Status of the response, which is the same for every request.', {
      atLeast: 200,
      atMost: 599,
    }).prefault(200),
    headers: z
      .record(headerName(parseResponseEditName), headerValue)
      .prefault({})
      .meta({ description: 'Its header fields.', value: 'map of names to values' }),
    body: field(parseBody, {
      description: 'Its body; `text/plain` unless `headers` has a `Content-Type`. Left out: an empty one.',
      type: 'string',
    }).optional(),
  })
  .meta({ description: 'Answers every request with the same response, without an upstream.' })
  .transform(({ status, headers, body }) => ({ status, headers: toFields(headers), body }))

type RespondConfig = Frozen<z.output<typeof schema>>

/** Statuses without a body (RFC 9110 §15.3.5, §15.3.6 and §15.4.5). */
const WITHOUT_BODY: readonly number[] = [204, 205, 304]

/** Sends a fixed response instead of calling an upstream. */
export const respond = definePolicy({
  name: 'respond',
  schema: schema.optional(),
  example: `
# Answered by the gateway, without an upstream, for this exact path.
- name: robots
  match: { host: shop.example, path: /robots.txt, exact: true }
  respond:
    status: 200
    headers: { cache-control: max-age=86400 }
    body: |
      User-agent: *
      Disallow: /api/
`,
  answers: true,
  check(written, context) {
    const names = checkFieldNames(context, 'headers')
    if (written?.body === undefined || !WITHOUT_BODY.includes(written.status)) return names
    const never = mistake(
      `cannot be sent with status ${written.status}, which has none`,
      'another status, or no "body"',
    )
    return [...names, context.problemAtKey(['body'], never)]
  },
  create: config => ({ onRequest: createRespond(config) }),
  // Only the size of the body: it may be long.
  describe: ({ status, body = '' }) => [
    { about: 'answer', text: `fixed response ${status}, ${Buffer.byteLength(body)} bytes` },
  ],
})

function createRespond({ status, headers, body }: RespondConfig): Stage {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const fields = headers.flatMap(({ name, value }) => [name, value])
  if (bytes && !headers.some(({ name }) => name === 'content-type'))
    fields.push('Content-Type', 'text/plain; charset=utf-8')
  // 204 and 304 never have content (RFC 9110 §8.6).
  if (!hasNoContent(status)) fields.push('Content-Length', String(bytes?.length ?? 0))
  const answer: LocalReply = { status, fields, body: bytes }
  return function respondToRequest(exchange) {
    sendLocalReply(exchange, answer)
    return ANSWERED
  }
}

function hasNoContent(status: number): boolean {
  return status === 204 || status === 304
}
