import { dirname, join } from 'node:path'
import { isAlias, isMap, isNode, isScalar, isSeq, visit } from 'yaml'
import type { Document, Node, Pair, YAMLMap } from 'yaml'
import { isYamlFile } from './config-digest'
import type { ConfigFiles } from './config-files'
import type { Environment } from './env'
import { nearestName } from './nearest-name'
import { quoted } from './quoted'
import { readMistake } from './read-file'
import type { ConfigProblem } from './types'
import { list } from './understood'
import { fill } from './variables'

/**
 * Makes one document of a `gateway.yaml` that uses other parts: adds the files of `include`, and to each route and
 * upstream the keys that it inherits from policy sets and `defaults`. Everything after it sees the complete routes, with the
 * positions of the nodes where they were written.
 *
 * A key has one value: the nearest. First the route itself, then its sets (`use`, the last one first), then `defaults`.
 * Values are never merged with each other, so that no reader has to add up three places.
 */

/** Position of an offset in one file: `gateway.yaml:12:7`. */
export type PlaceInFile = (offset: number) => string

export interface Composed {
  readonly problems: readonly ConfigProblem[]
  /** Paths of the files and folders of `include`, in order. */
  readonly included: readonly string[]
  /** Places of the nodes of included files. */
  readonly places: WeakMap<Node, PlaceInFile>
  /** Where each inherited key of a route or an upstream comes from: `policySets.partner (gateway.yaml:12)`. */
  readonly origins: WeakMap<Node, ReadonlyMap<string, string>>
}

export interface ComposeOptions {
  readonly document: Document
  readonly fileName: string
  readonly place: PlaceInFile
  readonly files: ConfigFiles
  readonly env: Environment
  /** Keys that give a route its upstream. */
  readonly upstreamKeys: readonly string[]
  /** Policies that have no effect in a route without upstream. */
  readonly needUpstream: readonly string[]
  /** Parses an included text; finds the mistakes that only the text shows. */
  readonly parse: (text: string, fileName: string) => ParsedPart
}

/** What a route or an upstream inherits from. */
interface Source {
  readonly name: string
  readonly keys: YAMLMap
  /** Whether a key has an effect in the heir. */
  readonly fits: (key: string) => boolean
}

export interface ParsedPart {
  /** Undefined if the text is not YAML. */
  readonly document: Document | undefined
  readonly place: PlaceInFile
  readonly problems: readonly ConfigProblem[]
}

/** Maximum files that one `gateway.yaml` includes. */
const MAX_INCLUDED = 1_000
/** Keys of an included file. What applies to everything is only in the main file. */
const INCLUDABLE = ['upstreams', 'routes', 'consumers', 'tokens', 'policySets']

/** Changes the document in place. */
export function compose(options: ComposeOptions): Composed {
  const { document } = options
  const composition = new Composition(options)
  // Without these, nothing is put together; the anchors of the file stay as they are.
  if (!['include', 'defaults', 'policySets'].some(key => pairIn(document.contents, key))) {
    composition.inherit()
    return composition
  }
  // An inherited alias would count as used once for each heir, against the parser's bound.
  withoutAliases(document)
  composition.include()
  composition.inherit()
  return composition
}

class Composition implements Composed {
  readonly problems: ConfigProblem[] = []
  readonly included: string[] = []
  readonly places: Composed['places'] = new WeakMap()
  readonly origins = new WeakMap<Node, Map<string, string>>()
  readonly #options: ComposeOptions

  constructor(options: ComposeOptions) {
    this.#options = options
  }

  /** Adds the content of the files of `include`. */
  include(): void {
    const { document } = this.#options
    const named = this.#resolved(pairIn(document.contents, 'include')?.value)
    if (!isSeq(named)) return
    for (const entry of named.items) {
      if (!isScalar(entry) || typeof entry.value !== 'string') continue
      for (const path of this.#filesOf(entry.value, entry)) {
        if (this.included.length >= MAX_INCLUDED) {
          this.#report(entry, `${quoted(entry.value)} adds more than ${MAX_INCLUDED} files`, 'fewer, larger files')
          return
        }
        this.#addFile(path, entry)
      }
    }
  }

  /** Paths of the files that one entry of `include` stands for. */
  #filesOf(written: string, entry: Node): string[] {
    const { fileName, files, env } = this.#options
    const filled = fill(written, env)
    if ('mistake' in filled) return [] // reported with the other variables
    const path = join(dirname(fileName), filled.value)
    if (isYamlFile(path)) return [path]
    this.included.push(path)
    try {
      const names = files.list(path).filter(name => isYamlFile(name) && !name.startsWith('.'))
      return names.toSorted().map(name => join(path, name))
    } catch (error) {
      const { problem } = readMistake(error, 'a folder')
      this.#report(entry, `the folder ${quoted(written)} ${problem}`, 'a folder, or a file that ends in .yaml or .yml')
      return []
    }
  }

  #addFile(path: string, entry: Node): void {
    this.included.push(path)
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(this.#options.files.read(path))
    } catch (error) {
      const { problem, allowed } = readMistake(error, 'a file to include, relative to the main file')
      this.#report(entry, `the included file ${path} ${problem}`, allowed)
      return
    }
    const { document, place, problems } = this.#options.parse(text, path)
    this.problems.push(...problems)
    // A file without content, or with comments only, adds nothing.
    if (document === undefined || document.contents === null) return
    if (!isMap(document.contents)) {
      this.problems.push({ where: place(0), problem: 'the file is not a map', allowed: list(INCLUDABLE) })
      return
    }
    withoutAliases(document)
    visit(document, {
      Node: (_key, node) => void this.places.set(node, place),
    })
    for (const pair of document.contents.items) this.#addPart(pair, place)
  }

  /** Adds the routes or the named parts of an included file to those of the main file. */
  #addPart(pair: Pair, place: PlaceInFile): void {
    const key = keyOf(pair)
    const where = place(offsetOf(pair.key))
    if (!INCLUDABLE.includes(key)) {
      const nearest = nearestName(key, INCLUDABLE)
      const allowed = `${list(INCLUDABLE)}; everything else is only in the main file`
      this.problems.push({
        where,
        problem: `${quoted(key)} is not a key of an included file`,
        allowed,
        ...(nearest !== undefined && { nearest }),
      })
      return
    }
    const root = this.#options.document.contents
    if (!isMap(root)) return
    const there = pairIn(root, key)
    if (there === undefined) {
      root.items.push(pair)
      return
    }
    const mine = this.#resolved(there.value)
    if (isSeq(mine) && isSeq(pair.value)) mine.items.push(...pair.value.items)
    else if (isMap(mine) && isMap(pair.value)) this.#addNamed(key, mine, pair.value, place)
    else if (isSeq(mine) || isMap(mine)) {
      this.problems.push({
        where,
        problem: `${quoted(key)} is not ${isSeq(mine) ? 'a list' : 'a map'}`,
        allowed: `${isSeq(mine) ? 'a list' : 'a map'}, as in the main file`,
      })
    }
  }

  #addNamed(key: string, mine: YAMLMap, added: YAMLMap, place: PlaceInFile): void {
    const known = new Map(mine.items.map(pair => [keyOf(pair), pair]))
    for (const pair of added.items) {
      const earlier = known.get(keyOf(pair))
      if (earlier === undefined) mine.items.push(pair)
      else {
        this.problems.push({
          where: place(offsetOf(pair.key)),
          problem: `${quoted(`${key}.${keyOf(pair)}`)} is in ${this.#lineOf(earlier.key)} too`,
          allowed: 'each name once',
        })
      }
    }
  }

  /** Adds inherited keys to routes and upstreams. */
  inherit(): void {
    const root = this.#options.document.contents
    const sets = this.#mapAt(root, 'policySets')
    const defaults = this.#mapAt(root, 'defaults')
    const forRoutes = this.#mapAt(defaults, 'routes')
    const forUpstreams = this.#mapAt(defaults, 'upstreams')
    for (const route of this.#itemsAt(root, 'routes')) {
      const from = this.#setsOf(route, sets)
      if (forRoutes !== undefined) {
        from.push({ name: 'defaults.routes', keys: forRoutes, fits: key => this.#fitsRoute(key, route) })
      }
      this.#inheritInto(route, from)
    }
    for (const { value } of this.#mapAt(root, 'upstreams')?.items ?? []) {
      const upstream = this.#resolved(value)
      if (!isMap(upstream)) continue
      const fits = (key: string): boolean => this.#fitsUpstream(key, upstream)
      this.#inheritInto(
        upstream,
        forUpstreams === undefined ? [] : [{ name: 'defaults.upstreams', keys: forUpstreams, fits }],
      )
    }
  }

  /** A default that would have no effect in a route is left out there, instead of being reported as useless. */
  #fitsRoute(key: string, route: YAMLMap): boolean {
    const { needUpstream, upstreamKeys } = this.#options
    return !needUpstream.includes(key) || upstreamKeys.some(name => pairIn(route, name) !== undefined)
  }

  #fitsUpstream(key: string, upstream: YAMLMap): boolean {
    if (key === 'ejection') return pairIn(upstream, 'circuitBreaker') === undefined
    if (key === 'circuitBreaker') return pairIn(upstream, 'ejection') === undefined
    if (key !== 'tls') return true
    const targets = this.#resolved(pairIn(upstream, 'targets')?.value)
    const isPlain = (item: unknown): boolean => {
      const url = isMap(item) ? pairIn(item, 'url')?.value : item
      return isScalar(url) && /^http:/i.test(String(url.value))
    }
    return !isSeq(targets) || !targets.items.every(item => isPlain(this.#resolved(item)))
  }

  /** The sets that a route uses, the nearest first. */
  #setsOf(route: YAMLMap, sets: YAMLMap | undefined): Source[] {
    const known = sets?.items.map(keyOf) ?? []
    const found = this.#namesAt(route, 'use').flatMap(({ name, node }): Source[] => {
      const keys = this.#mapAt(sets, name)
      if (keys !== undefined) return [{ name: `policySets.${name}`, keys, fits: () => true }]
      if (!known.includes(name)) {
        const allowed = known.length === 0 ? 'a set of "policySets", which this file does not have' : list(known)
        this.#report(node, `${quoted(name)} is not a policy set`, allowed, nearestName(name, known))
      }
      return []
    })
    return found.toReversed()
  }

  #inheritInto(heir: YAMLMap, from: readonly Source[]): void {
    const known = new Set(heir.items.map(keyOf))
    const unwanted = new Map<string, Node | undefined>(
      this.#namesAt(heir, 'without').map(({ name, node }) => [name, node]),
    )
    const origins = new Map<string, string>()
    for (const { name, keys, fits } of from) {
      for (const pair of keys.items) {
        const key = keyOf(pair)
        if (unwanted.has(key)) unwanted.set(key, undefined)
        else if (!known.has(key) && fits(key)) {
          known.add(key)
          heir.items.push(pair)
          origins.set(key, `${name} (${this.#lineOf(pair.key)})`)
        }
      }
    }
    for (const [name, node] of unwanted) {
      if (node === undefined) continue
      const inherited = [...new Set(from.flatMap(({ keys }) => keys.items.map(keyOf)))]
      const allowed = inherited.length === 0 ? 'no "without" here' : list(inherited)
      const problem = `${quoted(name)} has no effect: it is not inherited here`
      this.#report(node, problem, allowed, nearestName(name, inherited), 'warning')
    }
    if (origins.size > 0) this.origins.set(heir, origins)
  }

  #namesAt(node: YAMLMap, key: string): { name: string; node: Node }[] {
    const found = this.#resolved(pairIn(node, key)?.value)
    if (!isSeq(found)) return []
    return found.items.flatMap(item => (isScalar(item) ? [{ name: String(item.value), node: item }] : []))
  }

  #mapAt(node: unknown, key: string): YAMLMap | undefined {
    const found = this.#resolved(pairIn(this.#resolved(node), key)?.value)
    return isMap(found) ? found : undefined
  }

  #itemsAt(node: unknown, key: string): YAMLMap[] {
    const found = this.#resolved(pairIn(node, key)?.value)
    return isSeq(found) ? found.items.map(item => this.#resolved(item)).filter(isMap) : []
  }

  #resolved(node: unknown): Node | undefined {
    if (isAlias(node)) return node.resolve(this.#options.document)
    return isNode(node) ? node : undefined
  }

  #report(node: Node, problem: string, allowed?: string, nearest?: string, severity?: 'warning'): void {
    this.problems.push({
      where: this.#placeOf(node),
      problem,
      ...(allowed !== undefined && { allowed }),
      ...(nearest !== undefined && { nearest }),
      ...(severity && { severity }),
    })
  }

  /** File and line: `gateway.yaml:12`. */
  #lineOf(node: unknown): string {
    return this.#placeOf(node).replace(/:\d+$/, '')
  }

  #placeOf(node: unknown): string {
    const place = (isNode(node) && this.places.get(node)) || this.#options.place
    return place(offsetOf(node))
  }
}

/** Puts the anchored nodes in the place of their aliases, because anchors belong to one file. */
function withoutAliases(document: Document): void {
  // Throws if aliases multiply the document beyond the parser's bound.
  document.toJS()
  visit(document, { Alias: (_key, alias) => alias.resolve(document) })
}

function pairIn(map: unknown, key: string): Pair | undefined {
  return isMap(map) ? map.items.findLast(pair => keyOf(pair) === key) : undefined
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : ''
}

function offsetOf(node: unknown): number {
  return (isNode(node) ? node.range?.[0] : undefined) ?? 0
}
