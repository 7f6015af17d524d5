import type { IncomingMessage } from 'node:http'
import type { MatchConfig } from '../config/match-schema'

/** Header fields of a request: lower-case names with the values of all lines. Node computes them on first use. */
export type RequestFields = Pick<IncomingMessage, 'headersDistinct'>

/**
 * Methods in `Allow` for a route without a list of methods. `TRACE` is not among them: it would disclose fields that the
 * gateway and other proxies add to the request (RFC 9110 §9.3.8).
 */
const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']

/**
 * The routes of one host and path, distinguished by header conditions and methods. Routes whose conditions use the same
 * names need one look-up for all their values; the configuration bounds the number of sets of names.
 */
export class Choice<R> {
  /** Sets with more names first; the set without names, if any, is last. */
  readonly #nameSets: NameSet<R>[] = []

  add({ headers, methods }: MatchConfig, route: R): void {
    const names = headers.map(({ name }) => name)
    let nameSet = this.#nameSets.find(({ names: known }) => known.join() === names.join())
    if (!nameSet) {
      nameSet = { names, byValues: new Map() }
      this.#nameSets.push(nameSet)
      this.#nameSets.sort((a, b) => b.names.length - a.names.length)
    }
    const key = headers.map(({ value }) => value).join('\n')
    let byMethod = nameSet.byValues.get(key)
    if (!byMethod) nameSet.byValues.set(key, (byMethod = { listed: new Map(), any: undefined, allowed: new Set() }))
    if (methods === undefined) byMethod.any = route
    else for (const method of methods) byMethod.listed.set(method, route)
    for (const method of methods ?? USUAL_METHODS) byMethod.allowed.add(method)
    if (methods?.includes('GET')) byMethod.allowed.add('HEAD')
  }

  /** Finds the route with the most conditions, all of which hold; among equals, one that lists the method. */
  find(method: string, fields: RequestFields): R | undefined {
    const nameSets = this.#nameSets
    let listed: R | undefined
    let getForHead: R | undefined
    let any: R | undefined
    for (let i = 0; i < nameSets.length; i++) {
      const nameSet = nameSets[i] as NameSet<R>
      const byMethod = nameSet.byValues.get(valuesOf(nameSet.names, fields))
      if (byMethod) {
        listed ??= byMethod.listed.get(method)
        // RFC 9110 §9.3.2: HEAD is GET without the content, so it goes where GET goes.
        if (method === 'HEAD') getForHead ??= byMethod.listed.get('GET')
        else if (method === 'TRACE') continue
        any ??= byMethod.any
      }
      if (nameSets[i + 1]?.names.length === nameSet.names.length) continue
      const found = listed ?? getForHead ?? any
      if (found) return found
    }
    return undefined
  }

  /** Adds the methods of every route whose conditions hold. */
  collectMethods(fields: RequestFields, allowed: Set<string>): void {
    for (const { names, byValues } of this.#nameSets) {
      for (const method of byValues.get(valuesOf(names, fields))?.allowed ?? []) allowed.add(method)
    }
  }
}

/** Routes whose conditions use the same fields. */
interface NameSet<R> {
  /** Lower case, sorted. */
  readonly names: readonly string[]
  /** Routes by their values: one line per value, in the order of the names. */
  readonly byValues: Map<string, ByMethod<R>>
}

interface ByMethod<R> {
  readonly listed: Map<string, R>
  any: R | undefined
  /** Methods for the `Allow` field. */
  readonly allowed: Set<string>
}

/** Stands for a missing field. Configured values contain no line ends, so none equals it or two joined values. */
const MISSING = '\n\n'

/** Joins the values of fields. A repeated field counts as missing: which value the upstream would use is unknown. */
function valuesOf(names: readonly string[], fields: RequestFields): string {
  if (names.length === 0) return ''
  let values = ''
  for (let i = 0; i < names.length; i++) {
    const lines = fields.headersDistinct[names[i] as string]
    if (lines?.length !== 1) return MISSING
    values = i === 0 ? (lines[0] as string) : `${values}\n${lines[0] as string}`
  }
  return values
}
