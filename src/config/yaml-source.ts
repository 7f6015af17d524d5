import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Alias, Document, Node, Pair, YAMLError, YAMLMap } from 'yaml'
import { compose, type Composed, type ParsedPart, type PlaceInFile } from './compose'
import type { ConfigFiles } from './config-files'
import type { Environment } from './env'
import { quoted } from './quoted'
import type { ConfigProblem } from './types'
import { renameKeys } from './renamed-keys'
import { excessIn } from './yaml-bounds'
import { fillVariables, type Filled, type Path } from './variables'

/** Maximum reported problems of one kind: more have the same cause. */
const MAX_PROBLEMS = 100

export interface ReadYaml {
  /** Undefined if the text is not YAML, so that its content cannot be checked. */
  readonly source: YamlSource | undefined
  readonly problems: readonly ConfigProblem[]
}

/** For a file that may include others and inherit keys: the main file of a gateway. */
export interface Composition {
  /** Contents of the included files. */
  readonly files: ConfigFiles
  /** Keys that give a route its upstream. */
  readonly upstreamKeys: readonly string[]
  /** Policies that have no effect in a route without upstream. */
  readonly needUpstream: readonly string[]
}

const NOTHING_ADDED: Composed = { problems: [], included: [], places: new WeakMap(), origins: new WeakMap() }

/** Parses a YAML text, adds what it includes and inherits, and fills in its variables. Never throws. */
export function readYaml(text: string, fileName: string, env: Environment, composition?: Composition): ReadYaml {
  try {
    const { document, place, problems } = parsePart(text, fileName)
    if (document === undefined) return { source: undefined, problems }
    if (document.contents === null) {
      return {
        source: undefined,
        problems: [{ where: fileName, problem: 'the file is empty', allowed: 'upstreams and routes' }],
      }
    }
    const composed =
      composition === undefined
        ? NOTHING_ADDED
        : compose({ document, fileName, place, env, parse: parsePart, ...composition })
    const written: unknown = document.toJS()
    const source = new YamlSource(document, written, fillVariables(document, env), place, composed)
    return { source, problems: [...problems, ...composed.problems, ...source.unfilledProblems()] }
  } catch (error) {
    // Nested too deeply for the parser's stack, or too many aliases.
    const why = error instanceof Error ? error.message : String(error)
    return { source: undefined, problems: [{ where: fileName, problem: `the file cannot be read as YAML: ${why}` }] }
  }
}

/** Parses one file. */
function parsePart(text: string, fileName: string): ParsedPart {
  const lines = new LineCounter()
  const place = placesIn(fileName, lines)
  const refused = (...problems: ConfigProblem[]): ParsedPart => ({ document: undefined, place, problems })
  const excess = excessIn(text)
  if (excess !== undefined) {
    const { line, column } = positionIn(text, excess.offset)
    return refused({ where: `${fileName}:${line}:${column}`, ...excess.mistake })
  }
  // Duplicate keys are found below: the parser would compare each key with each other.
  // `logLevel`: the parser's warnings are reported as problems below, not printed to standard error.
  const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'error' } as const
  const document = parseDocument(text, options)
  const [fatal] = document.errors
  // Only the first syntax error: after it the parser reports consequential errors.
  if (fatal) return refused(syntaxProblem(fatal, text, place))
  const aliases = unresolvedAliases(document).map(alias => aliasProblem(alias, place))
  if (aliases.length > 0) return refused(...aliases)
  const renamed = renameKeys(document, place)
  const warnings = document.warnings.map(error => syntaxProblem(error, text, place))
  return { document, place, problems: [...duplicateKeys(document, place), ...renamed, ...warnings] }
}

function placesIn(fileName: string, lines: LineCounter): PlaceInFile {
  return offset => {
    const { line, col } = lines.linePos(offset)
    return `${fileName}:${line}:${col}`
  }
}

function positionIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

function syntaxProblem(error: YAMLError, text: string, place: PlaceInFile): ConfigProblem {
  const [start] = error.pos
  const where = place(start)
  if (error.code === 'MULTIPLE_DOCS') return { where, problem: 'a second document begins', allowed: 'one document' }
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  const hint = /[[{,][^'"]*\$$/.test(before) ? { allowed: 'quotes around ${NAME} inside [ ] and { }: "${NAME}"' } : {}
  return { where, problem: `this is not YAML: ${error.message}`, ...hint }
}

function duplicateKeys(document: Document, place: PlaceInFile): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  visit(document, {
    Map(_key, map) {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (seen.has(name) && problems.length < MAX_PROBLEMS) {
          const problem = `the key ${quoted(name)} appears twice`
          problems.push({ where: place(key.range?.[0] ?? 0), problem, allowed: 'each key once' })
        }
        seen.add(name)
      }
    },
  })
  return problems
}

/**
 * Aliases whose anchor is not defined before them. `alias.resolve` is not used: it searches the document for each
 * alias.
 */
function unresolvedAliases(document: Document): Alias[] {
  const found: Alias[] = []
  const anchors = new Set<string>()
  visit(document, {
    Alias(_key, alias) {
      if (!anchors.has(alias.source)) found.push(alias)
    },
    Value(_key, { anchor }) {
      if (anchor !== undefined) anchors.add(anchor)
    },
  })
  return found
}

function aliasProblem(alias: Alias, place: PlaceInFile): ConfigProblem {
  return {
    where: place(alias.range?.[0] ?? 0),
    problem: `"*${alias.source}" refers to an anchor that is not defined above it`,
    allowed: `quotes around text that begins with "*": "*${alias.source}"`,
  }
}

/** A YAML document as plain values that maps each value back to its line, column and spelling. */
export class YamlSource {
  readonly value: unknown
  /** The values before variables were replaced. */
  readonly written: unknown
  readonly #document: Document
  readonly #filled: Filled
  readonly #place: PlaceInFile
  readonly #composed: Composed
  /** Pairs by key: a file may have thousands of problems in a map of thousands of keys. */
  readonly #pairs = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>()

  constructor(document: Document, written: unknown, filled: Filled, place: PlaceInFile, composed: Composed) {
    this.#document = document
    this.#filled = filled
    this.#place = place
    this.#composed = composed
    this.value = document.toJS()
    this.written = written
  }

  unfilledProblems(): ConfigProblem[] {
    return [...this.#filled.unfilled].map(
      ([
        node,
        {
          path,
          text,
          mistake: { problem, ...hints },
        },
      ]) => ({
        where: `${this.#placeOf(node)} ${formatPath(path)}`,
        problem: `${quoted(text)} ${problem}`,
        ...hints,
      }),
    )
  }

  /**
   * The position `gateway.yaml:12:7 routes[0].upstream`: of the value, or its key, or the nearest parent that exists.
   */
  where(path: Path, at: 'key' | 'value' = 'value'): string {
    const { node, key } = this.#find(path)
    const place = this.#placeOf(at === 'key' ? key : node)
    return path.length === 0 ? place : `${place} ${formatPath(path)}`
  }

  /** Line of the value for a message: `line 12`, or `routes.d/shop.yaml:12` if it is in an included file. */
  line(path: Path): string {
    const { node } = this.#find(path)
    const [, file, line] = /^(.*):(\d+):\d+$/.exec(this.#placeOf(node)) ?? []
    return node !== undefined && this.#composed.places.has(node) ? `${file}:${line}` : `line ${line}`
  }

  /** Paths of the included files and folders. */
  get included(): readonly string[] {
    return this.#composed.included
  }

  /** Where each inherited key of a route or an upstream comes from: `policySets.partner (gateway.yaml:12)`. */
  origins(path: Path): ReadonlyMap<string, string> | undefined {
    const { node } = this.#find(path)
    return node && this.#composed.origins.get(node)
  }

  #placeOf(node: unknown): string {
    const found = isNode(node) ? node : undefined
    const place = (found && this.#composed.places.get(found)) ?? this.#place
    return place(found?.range?.[0] ?? 0)
  }

  /** The value for a message: variables as written, URLs without credentials. */
  show(path: Path): string {
    const { node, found } = this.#find(path)
    if (!found || (isScalar(node) && node.value === null)) return nameOf(path)
    if (isMap(node)) return 'a map'
    if (isSeq(node)) return 'a list'
    if (!isScalar(node)) return 'this'
    const text = this.#filled.scalars.has(node) ? (node.source ?? '') : node.value
    if (typeof text !== 'string') return String(text)
    return quoted(text)
  }

  valueAt(path: Path): unknown {
    return path.reduce<unknown>((value, step) => {
      return typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined
    }, this.value)
  }

  /** True if a variable was replaced, so that no part of the value may be repeated. */
  isFilled(path: Path): boolean {
    return this.#filled.scalars.has(this.#find(path).node)
  }

  /** True if a variable could not be replaced: that is reported, and further problems would only distract. */
  isUnfilled(path: Path): boolean {
    return this.#filled.unfilled.has(this.#find(path).node)
  }

  #find(path: Path): { node: Node | undefined; key: Node | undefined; found: boolean } {
    let node = this.#resolved(this.#document.contents)
    let key: Node | undefined
    for (const step of path) {
      let next: Node | undefined
      if (isMap(node)) {
        const pair = this.#pairsOf(node).get(String(step))
        next = this.#resolved(pair?.value)
        if (isNode(pair?.key)) key = pair.key
      } else if (isSeq(node) && typeof step === 'number') {
        next = key = this.#resolved(node.items[step])
      }
      if (next === undefined) return { node: node, key: node, found: false }
      node = next
    }
    return { node, key, found: true }
  }

  #pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.#pairs.get(map)
    if (known !== undefined) return known
    // Of two equal keys, the last one's value applies.
    const pairs = new Map(map.items.flatMap(pair => (isScalar(pair.key) ? [[String(pair.key.value), pair]] : [])))
    this.#pairs.set(map, pairs)
    return pairs
  }

  #resolved(node: unknown): Node | undefined {
    if (isAlias(node)) return node.resolve(this.#document)
    return isNode(node) ? node : undefined
  }
}

/** Formats a path: `routes[0].match.path` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    const key = String(step)
    if (!/^[\w-]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

function nameOf(path: Path): string {
  const key = path.at(-1)
  return key === undefined || typeof key === 'number' ? 'this entry' : JSON.stringify(String(key))
}
