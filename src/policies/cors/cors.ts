import type { IncomingMessage } from 'node:http'
import { ANSWERED, type Stage } from '../../exchange/exchange'
import { sendLocalReply } from '../../exchange/local-reply'
import type { CorsConfig } from './schema'

/** Stages that implement CORS for a route (Fetch standard). */
export interface Cors {
  /** Adds CORS fields to the response of the upstream or gateway. */
  readonly announce: Stage
  /** Answers preflight requests instead of all later stages. */
  readonly answerPreflight: Stage
}

/** Returns whether a request is a CORS preflight. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/** @param methods methods of the route; undefined for any */
export function createCors(config: CorsConfig, methods: readonly string[] | undefined): Cors {
  const isAllowed = createOriginCheck(config.origins)
  const anybody = config.origins.includes('*')
  const credentials = config.credentials ? ['Access-Control-Allow-Credentials', 'true'] : []
  const exposed =
    config.exposeHeaders.length > 0 ? ['Access-Control-Expose-Headers', config.exposeHeaders.join(', ')] : []
  const allowedMethods = (config.methods ?? methods ?? USUAL_METHODS).join(', ')
  const maxAge = config.maxAgeSeconds === undefined ? [] : ['Access-Control-Max-Age', String(config.maxAgeSeconds)]
  /** Caches must keep responses for different origins apart, also those without an origin. */
  const forOthers = anybody ? [] : ['Vary', 'Origin']
  const forAnybody = ['Access-Control-Allow-Origin', '*', ...exposed]

  function fieldsFor(origin: string | undefined): readonly string[] {
    if (anybody) return forAnybody
    if (origin === undefined || !isAllowed(origin)) return forOthers
    return ['Access-Control-Allow-Origin', origin, ...credentials, ...exposed, ...forOthers]
  }

  return {
    announce: function announceCors(exchange) {
      exchange.corsFields = fieldsFor(exchange.request.headers.origin)
    },
    answerPreflight: function answerPreflight(exchange) {
      const { headers } = exchange.request
      const origin = headers.origin as string
      const fields = ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers']
      // Without Access-Control-Allow-Origin the browser does not send the request.
      if (anybody || isAllowed(origin)) {
        fields.push('Access-Control-Allow-Origin', anybody ? '*' : origin, ...credentials)
        fields.push('Access-Control-Allow-Methods', allowedMethods)
        const names = config.headers?.join(', ') ?? headers['access-control-request-headers']
        if (names) fields.push('Access-Control-Allow-Headers', names)
        fields.push(...maxAge)
      }
      sendLocalReply(exchange, { status: 204, fields, body: undefined })
      return ANSWERED
    },
  }
}

/** Allowed methods for routes of any method. */
const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']

function createOriginCheck(origins: readonly string[]): (origin: string) => boolean {
  const exact = new Set(origins.filter(origin => !origin.includes('*')))
  const suffixes = origins
    .filter(origin => origin.includes('*.'))
    .map(origin => origin.split('*') as [scheme: string, suffix: string])
  return function isAllowedOrigin(origin) {
    if (exact.has(origin)) return true
    return suffixes.some(([scheme, suffix]) => {
      if (!origin.startsWith(scheme) || !origin.endsWith(suffix)) return false
      // The star matches only labels of a name, so that `https://evil.example/.shop.example` does not match.
      return LABELS.test(origin.slice(scheme.length, -suffix.length))
    })
  }
}

const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/
