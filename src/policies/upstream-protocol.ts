import type { ConfigProblem } from '../config/types'
import { asList, asMap } from '../config/understood'
import { mistake } from '../config/values/parsed'
import type { CheckContext } from './check-context'

/** Checks that the upstreams of the route are asked over HTTP/2. */
export function checkHttp2Upstream(context: CheckContext): ConfigProblem[] {
  if (context.written === undefined || context.written === false) return []
  const name = upstreamsOf(context).find(upstream => {
    const { protocol } = asMap(context.inFile('upstreams', upstream))
    return protocol === undefined || protocol === 'http1'
  })
  if (name === undefined) return []
  const wrong = mistake(`needs HTTP/2, and "${name}" is asked over HTTP/1.1`, '"protocol: h2c", h2 or auto there')
  return [context.problemAtKey([], wrong)]
}

/** Names of upstreams as written, of a split those of its variants. */
function upstreamsOf({ route }: CheckContext): string[] {
  const variants = asList(asMap(route['split'])['variants']).map(variant => asMap(variant)['upstream'])
  return [route['upstream'], ...variants].filter(name => typeof name === 'string')
}
