import { parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import type { AttemptHook, Exchange, ResponseHead } from '../../exchange/exchange'
import { grpcWebFormOf, toGrpcCall } from '../../exchange/grpc-call'
import { definePolicy } from '../define-policy'
import { checkHttp2Upstream } from '../upstream-protocol'
import { toGrpcWebBody } from './body'

/** Translates gRPC-Web, which browsers speak, to gRPC: content types, base64, and trailers at the end of the body. */
export const grpcWeb = definePolicy({
  name: 'grpcWeb',
  schema: field(parseFlag, {
    description:
      'Whether gRPC-Web requests of browsers (binary and text) become gRPC calls ([more](grpc.md#grpc-web)). Pages of other origins need `cors`, too.',
    type: 'boolean',
  }).prefault(false),
  needsUpstream: true,
  check: (_written, context) => checkHttp2Upstream(context),
  create(isOn) {
    if (!isOn) return {}
    return {
      onRequest: recognise,
      onAttempt: toGrpcRequest,
      onResponse: toGrpcWebResponse,
      onBody: exchange => (isWeb(exchange) ? toGrpcWebBody(exchange.grpc) : undefined),
    }
  },
  describe: isOn => (isOn ? [{ about: 'calls', text: 'gRPC-Web becomes gRPC' }] : []),
})

type WebExchange = Exchange & { readonly grpc: NonNullable<Exchange['grpc']> }

function isWeb(exchange: Exchange): exchange is WebExchange {
  return exchange.grpc !== undefined && exchange.grpc.form !== 'grpc'
}

function recognise(exchange: Exchange): void {
  const { request } = exchange
  const form = grpcWebFormOf(request)
  if (form !== undefined) exchange.grpc ??= toGrpcCall(request, form)
}

/** Replaces the content type; the length changes with base64. */
const toGrpcRequest: AttemptHook = function toGrpcRequest(exchange, { fields }) {
  if (!isWeb(exchange)) return
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    const name = fields[i] as string
    if (name === 'content-type') {
      fields[i + 1] = (fields[i + 1] as string).replace(/^application\/grpc-web(?:-text)?/i, 'application/grpc')
    } else if (
      name === 'accept' ||
      name === 'x-grpc-web' ||
      (name === 'content-length' && exchange.grpc.form !== 'web')
    ) {
      fields.splice(i, 2)
    }
  }
}

/** Fields that a page must be able to read. */
const EXPOSED = 'grpc-status, grpc-message, grpc-status-details-bin'

function toGrpcWebResponse(exchange: Exchange, { fields }: ResponseHead): void {
  if (!isWeb(exchange)) return
  const type = exchange.grpc.form === 'web' ? 'application/grpc-web' : 'application/grpc-web-text'
  let exposed = -1
  let isShared = false
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    if (name === 'content-type') {
      fields[i + 1] = (fields[i + 1] as string).replace(/^application\/grpc(?=$|[+;])/i, type)
    } else if (name === 'access-control-allow-origin') isShared = true
    else if (name === 'access-control-expose-headers') exposed = i + 1
  }
  if (exposed !== -1) fields[exposed] += `, ${EXPOSED}`
  else if (isShared) fields.push('Access-Control-Expose-Headers', EXPOSED)
}
