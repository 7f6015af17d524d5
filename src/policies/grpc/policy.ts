import { z } from 'zod'
import { durationField } from '../../config/fields'
import { durationText } from '../../config/values/duration'
import { field } from '../../config/values/field'
import { notText, refuse, type Parsed } from '../../config/values/parsed'
import { DEFAULT_GRPC_IDLE_MS } from '../../exchange/grpc-call'
import { definePolicy } from '../define-policy'
import { checkHttp2Upstream } from '../upstream-protocol'

const METHOD_PATTERN = '^[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*$'
const ALLOWED = 'package.Service/Method, as in the path of its requests'

/** Parses the full name of a gRPC method. */
function parseMethodName(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (new RegExp(METHOD_PATTERN).test(found)) return { value: found }
  const bare = found.replace(/^\//, '')
  return refuse('is not the full name of a method', ALLOWED, new RegExp(METHOD_PATTERN).test(bare) ? bare : undefined)
}

/** What the route knows of its gRPC methods. gRPC itself needs no key: requests are recognised by their content type. */
export const grpc = definePolicy({
  name: 'grpc',
  schema: z
    .strictObject({
      methods: z
        .array(
          field(parseMethodName, {
            description: 'Full name of a method.',
            type: 'string',
            pattern: METHOD_PATTERN,
            examples: ['shop.inventory.v1.Inventory/Reserve'],
          }),
        )
        .max(1_000)
        .prefault([])
        .meta({
          description:
            'Methods with series and names of their own in the telemetry, as `package.Service/Method`. All others share `_OTHER`, so that clients cannot create series.',
          value: 'list of methods',
        }),
      idleTimeout: durationField(
        'How long a call may be silent in both directions after its response has begun. It replaces `timeouts.idle` and `entrypoint.stallTimeout`.',
        { atLeast: '1s' },
      ).prefault('5m'),
    })
    .transform(({ methods, idleTimeout }) => ({ methods, idleMs: idleTimeout }))
    .optional()
    .meta({ description: 'gRPC calls of this route ([more](grpc.md)). gRPC works without the key, too.' }),
  example: `
# gRPC: the path is the service, then the method.
- name: inventory
  match: { path: /shop.inventory.v1.Inventory }
  upstream: inventory
  cors: { origins: ['https://shop.example'] }
  grpcWeb: true # pages of the shop call it, too
  grpc:
    methods: [shop.inventory.v1.Inventory/Reserve, shop.inventory.v1.Inventory/Watch] # others share a series
    idleTimeout: 10m
`,
  needsUpstream: true,
  check: (_written, context) => checkHttp2Upstream(context),
  create({ methods, idleMs }) {
    const known: ReadonlySet<string> = new Set(methods)
    return {
      onRequest: function describeGrpcCall({ grpc: call }) {
        if (call === undefined) return
        call.methods = known
        call.idleMs = idleMs
      },
    }
  },
  describe: ({ methods, idleMs }) => [
    {
      about: 'calls',
      text:
        (methods.length === 0 ? 'gRPC' : `gRPC, ${methods.length} named method${methods.length === 1 ? '' : 's'}`) +
        (idleMs === DEFAULT_GRPC_IDLE_MS ? '' : `, silent for up to ${durationText(idleMs)}`),
    },
  ],
})
