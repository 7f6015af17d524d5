import type { Route } from './route'

/**
 * Finds the most specific route for a request. Cost depends on the depth of the path, not on the number of routes.
 *
 * Order of specificity: exact host, longer `*.suffix`, any host; then, segment by segment, a literal before a `:param`
 * before the end of the template; then listed methods before any method. Methods are part of the match, so a less
 * specific route may serve a method that a more specific one does not list.
 */
export class RouteTable<R extends Pick<Route, 'config'>> {
  readonly #exactHosts = new Map<string, Node<R>>()
  readonly #hostSuffixes = new Map<string, Node<R>>()
  readonly #anyHost: Node<R> = newNode()

  constructor(routes: readonly R[]) {
    for (const route of routes) this.#add(route)
  }

  /**
   * @param host name without port, lower case
   * @param path without query, starting with `/`
   * @returns the route; or the methods allowed there, when only the method does not fit; or undefined
   */
  match(method: string, host: string, path: string): R | MethodNotAllowed | undefined {
    const search: Search<R> = { method, path, allowed: undefined, found: undefined }
    const exact = this.#exactHosts.get(host)
    if (exact && descend(search, exact, 1)) return search.found
    if (this.#hostSuffixes.size > 0) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const suffix = this.#hostSuffixes.get(host.slice(dot))
        if (suffix && descend(search, suffix, 1)) return search.found
      }
    }
    if (descend(search, this.#anyHost, 1)) return search.found
    return search.allowed && new MethodNotAllowed([...search.allowed])
  }

  #add(route: R): void {
    const { host, path, methods } = route.config.match
    let node = this.#rootFor(host)
    for (const segment of path === '/' ? [] : path.slice(1).split('/')) {
      if (segment.startsWith(':')) {
        node = node.param ??= newNode()
      } else {
        let child = node.literals.get(segment)
        if (!child) node.literals.set(segment, (child = newNode()))
        node = child
      }
    }
    if (methods === undefined) node.anyMethod = route
    else for (const method of methods) node.byMethod.set(method, route)
    // RFC 9110 §9.3.2: HEAD is GET without the content, so it goes where GET goes.
    if (methods?.includes('GET') && !node.byMethod.has('HEAD')) node.byMethod.set('HEAD', route)
  }

  #rootFor(host: string | undefined): Node<R> {
    if (host === undefined) return this.#anyHost
    const [hosts, key] = host.startsWith('*.') ? [this.#hostSuffixes, host.slice(1)] : [this.#exactHosts, host]
    let root = hosts.get(key)
    if (!root) hosts.set(key, (root = newNode()))
    return root
  }
}

/** The path is known, the method is not. */
export class MethodNotAllowed {
  constructor(readonly allowed: readonly string[]) {}
}

interface Node<R> {
  readonly literals: Map<string, Node<R>>
  param: Node<R> | undefined
  readonly byMethod: Map<string, R>
  anyMethod: R | undefined
}

interface Search<R> {
  readonly method: string
  readonly path: string
  allowed: Set<string> | undefined
  found: R | undefined
}

function newNode<R>(): Node<R> {
  return { literals: new Map(), param: undefined, byMethod: new Map(), anyMethod: undefined }
}

/**
 * What is said of a route for every method. `TRACE` is none of them: it has the upstream show what the gateway and others
 * added to the request, and no client needs that (RFC 9110 §9.3.8).
 */
const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Tries the deepest template first; `start` is where the next segment begins. True when `search.found` is set. */
function descend<R>(search: Search<R>, node: Node<R>, start: number): boolean {
  const { path } = search
  if (start < path.length) {
    const slash = path.indexOf('/', start)
    const end = slash === -1 ? path.length : slash
    const literal = node.literals.get(path.slice(start, end))
    if (literal && descend(search, literal, end + 1)) return true
    if (node.param && end > start && descend(search, node.param, end + 1)) return true
  }
  return select(search, node)
}

function select<R>(search: Search<R>, node: Node<R>): boolean {
  search.found = node.byMethod.get(search.method) ?? (search.method === 'TRACE' ? undefined : node.anyMethod)
  if (search.found) return true
  if (node.byMethod.size > 0 || node.anyMethod) {
    search.allowed ??= new Set()
    for (const method of node.byMethod.keys()) search.allowed.add(method)
    if (node.anyMethod) for (const method of USUAL_METHODS) search.allowed.add(method)
  }
  return false
}
