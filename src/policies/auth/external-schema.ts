import { z } from 'zod'
import { durationField, headerName, numberField, sizeField } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import type { UpstreamConfig } from '../../config/types'
import { choice, parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { parseAuthorizerName, parseClientAnswerName, parseVouchedName } from '../../config/values/header'
import { referenceTo } from '../../config/values/name'
import { parseProbePath, PROBE_PATH_PATTERN } from '../../config/values/probe-path'
import { parseAuthorizerUrl, parseSignIn } from './external-values'

/** Fields of the answer that the client needs to act on a refusal. */
const TO_CLIENT = ['location', 'set-cookie', 'www-authenticate', 'content-type', 'cache-control', 'retry-after']

const cacheSchema = z
  .strictObject({
    ttl: durationField('How long an allowing answer is used again.', { atLeast: '100ms', atMost: '1h' }),
    key: z.array(headerName(parseAuthorizerName)).min(1).optional().meta({
      description:
        'Request fields that tell clients apart; a digest of their values is the key. Left out: `requestHeaders`. A request without any of them is not cached.',
      value: 'list of field names',
    }),
    perPath: field(parseFlag, {
      description:
        'Whether an answer is used only for the same method, host, path and query. `false` only if the authorizer does not look at them.',
      type: 'boolean',
    }).prefault(true),
    size: numberField('Maximum answers kept; the oldest goes first.', { atLeast: 1, atMost: 100_000 }).prefault(1_000),
  })
  .meta({ description: 'Keeps allowing answers in memory. Answers that set cookies are not kept. Left out: no cache.' })

export const externalSchema = z
  .strictObject({
    upstream: field(referenceTo('an upstream'), {
      description:
        'The authorizer, as an upstream of this file, with its timeouts of connections, health checks and circuits.',
      value: 'name',
      type: 'string',
    }).optional(),
    path: field(parseProbePath, {
      description: 'Path of the check on `upstream`, with query.',
      value: 'path',
      type: 'string',
      pattern: PROBE_PATH_PATTERN,
      examples: ['/oauth2/auth'],
    }).prefault('/'),
    url: field(parseAuthorizerUrl, {
      description: 'The authorizer, as a URL, instead of `upstream` and `path`.',
      value: 'URL',
      type: 'string',
      examples: ['http://authz.internal:9000/verify'],
    }).optional(),
    requestHeaders: z.array(headerName(parseAuthorizerName)).max(64).prefault(['authorization', 'cookie']).meta({
      description: 'Fields of the request that the authorizer gets. It never gets the body.',
      value: 'list of field names',
    }),
    upstreamHeaders: z
      .array(headerName(parseVouchedName))
      .max(64)
      .prefault([])
      .meta({
        description:
          'Fields of an allowing answer that the upstream gets. Fields of these names from clients are removed.',
        value: 'list of field names',
        examples: [['x-auth-request-user']],
      }),
    clientHeaders: z
      .array(headerName(parseClientAnswerName))
      .max(64)
      .prefault([...TO_CLIENT])
      .meta({
        description:
          'Fields of a refusing answer that the client gets. With `set-cookie` also the cookies of an allowing answer.',
        value: 'list of field names',
      }),
    consumerHeader: headerName(parseAuthorizerName)
      .optional()
      .meta({
        description:
          'Field of an allowing answer that names the consumer: the one that lists `external/VALUE` in its `subjects`, else a consumer `external/VALUE`.',
        value: 'field name',
        examples: ['x-auth-request-user'],
      }),
    signIn: field(parseSignIn, {
      description:
        'Where browsers are sent (302) instead of a 401. `{url}` becomes the requested URL, `{uri}` its path and query, both percent-encoded.',
      value: 'path or URL',
      type: 'string',
      examples: ['/oauth2/sign_in?rd={uri}'],
    }).optional(),
    timeout: durationField('Timeout of the whole check.', { atLeast: '10ms', atMost: '1m' }).prefault('1s'),
    failureMode: field(choice(['deny', 'allow'], { closed: 'deny', open: 'allow' }), {
      description:
        'If the authorizer fails (no answer, 5xx, invalid): 503, reason `authorizer_unavailable` (`deny`), or forward the request without a check (`allow`).',
      type: 'string',
      enum: ['deny', 'allow'],
    }).prefault('deny'),
    maxConcurrent: numberField(
      'Maximum checks at once on this route; above it 503, reason `authorizer_unavailable`, whatever `failureMode` says.',
      { atLeast: 1, atMost: 10_000 },
    ).prefault(200),
    maxBody: sizeField('Maximum body of a refusing answer that is passed on; a larger one is left out.', {
      atLeast: '0B',
      atMost: '1MiB',
    }).prefault('64KiB'),
    cache: cacheSchema.optional(),
  })
  .meta({
    description:
      'Asks a service over HTTP whether a request may pass, after the other credentials were checked: 2xx allows it, 3xx and 4xx are the answer to the client. [More](authentication.md#external-authorization).',
  })

type Written = Frozen<z.output<typeof externalSchema>>

/** External authorization of a route. */
export type ExternalConfig = Omit<Written, 'upstream' | 'url'> & {
  /** Name of an upstream of the file, or the one that the URL stands for. */
  readonly upstream: string | Frozen<UpstreamConfig>
}
