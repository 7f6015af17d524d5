import { SAMPLED_HEADERS } from '../../../telemetry/sampled-headers'
import type { Row } from './find-differences'
import type { SampledRequest } from './sampled-requests'

/** Dimensions, the nearest to a cause first: if several values select the same requests, the first one is reported. */
export const DIMENSIONS: readonly string[] = [
  'variant',
  'target',
  'release',
  'upstream',
  'instance',
  'route',
  'routeName',
  'consumer',
  'tier',
  'path',
  'method',
  'host',
  'query',
  'contentType',
  'requestSize',
  'userAgent',
  'clientNetwork',
  'protocol',
  'tls',
  ...SAMPLED_HEADERS.map(name => `header ${name}`),
]

/** Dimensions for slow requests: status and size, which are results of a failure, may be causes of slowness. */
export const SLOW_DIMENSIONS: readonly string[] = [...DIMENSIONS, 'status', 'responseSize']

/** A sample as a row of the comparison. */
export function toRow(
  request: SampledRequest,
  { instance, route, weight }: { readonly instance: string; readonly route: string; readonly weight: number },
): Row {
  const values: Record<string, string> = {
    instance,
    route,
    method: request.method,
    path: request.path,
    query: request.query,
    clientNetwork: request.clientNetwork,
    userAgent: request.userAgent,
    protocol: request.protocol,
    tls: request.tls,
    contentType: request.contentType,
    requestSize: request.requestSize,
    responseSize: request.responseSize,
    status: String(request.status),
    consumer: request.consumer ?? 'none',
    tier: request.tier ?? 'none',
  }
  if (request.variant !== undefined) values['variant'] = request.variant
  if (request.target !== undefined) values['target'] = request.target
  if (request.release !== undefined) values['release'] = request.release
  if (request.upstream !== undefined) values['upstream'] = request.upstream
  if (request.routeName !== undefined) values['routeName'] = request.routeName
  if (request.host !== undefined) values['host'] = request.host
  for (const name of SAMPLED_HEADERS) values[`header ${name}`] = request.headers.includes(name) ? 'present' : 'absent'
  return { values, weight }
}
