import { asList, asMap } from '../../config/understood'
import { mistake } from '../../config/values/parsed'
import type { ConfigProblem } from '../../config/types'
import type { CheckContext } from '../check-context'
import { definePolicy } from '../define-policy'
import { createCors } from './cors'
import { corsSchema } from './schema'

/** CORS for pages of other origins. Undefined: left to the upstream. */
export const cors = definePolicy({
  name: 'cors',
  schema: corsSchema.optional(),
  check: (_written, context) => [...checkCredentials(context), ...checkFields(context)],
  create(config, { route }) {
    const { announce, answerPreflight } = createCors(config, route.match.methods)
    return { onRequest: announce, answerPreflight }
  },
  describe({ origins, methods, credentials }) {
    const whose = origins.includes('*') ? 'any origin' : origins.join(', ')
    const by = methods === undefined ? '' : ` by ${methods.join(', ')}`
    const text = `pages of ${whose}${by}${credentials ? ' with credentials' : ''}`
    return [{ about: 'clients', text, subject: 'cors' }]
  },
  explain(_config, { request, corsFields }) {
    const { origin } = request.headers
    const mayRead = corsFields?.includes('Access-Control-Allow-Origin') ?? false
    return origin === undefined ? '' : `; ${origin} is ${mayRead ? '' : 'not '}one of them`
  },
})

/**
 * Refuses credentials with `*`: browsers reject them, and echoing each origin would expose users' cookies to every
 * page.
 */
function checkCredentials(context: CheckContext): ConfigProblem[] {
  const { credentials, origins } = asMap(context.written)
  if (credentials !== true || !asList(origins).includes('*')) return []
  const wrong = mistake('cannot be combined with "*" in origins', 'credentials for origins that are named')
  return [context.problem(['credentials'], wrong)]
}

/** Checks that no header edits set CORS fields: browsers reject a repeated one, and no page could read a response. */
function checkFields(context: CheckContext): ConfigProblem[] {
  if (context.written === undefined) return []
  const twice = mistake('is already set by "cors": browsers refuse a response that has it twice', 'only one of the two')
  const maps = [
    ['responseHeaders', 'set'],
    ['responseHeaders', 'add'],
    ['respond', 'headers'],
  ] as const
  return maps.flatMap(([key, map]) => {
    const other = context.at(key)
    return Object.keys(asMap(other.valueAt(map)))
      .filter(name => /^access-control-/i.test(name))
      .map(name => other.problemAtKey([map, name], twice))
  })
}
