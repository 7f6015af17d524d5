import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { isMap, isPair, isScalar, LineCounter, parseDocument, Scalar, visit, type Document, type Node } from 'yaml'
import type { TelemetryProblem } from '../telemetry'

type Variables = Readonly<Record<string, string | undefined>>
export type Path = readonly (string | number)[]

/** Maximum size of the file: it is read before anything else is known about it. */
const MOST_BYTES = 1024 * 1024
/** Maximum problems of one file. */
const MOST_PROBLEMS = 100

/** The parsed file of `OTEL_CONFIG_FILE`, with the variables that it names filled in. */
export class ConfigDocument {
  readonly problems: TelemetryProblem[] = []
  /** Variables that the file names; only these have an effect through it. */
  readonly substituted = new Set<string>()
  readonly value: unknown
  readonly #name: string
  readonly #lines = new LineCounter()
  readonly #document: Document | undefined

  /** Never throws. */
  constructor(path: string, variables: Variables) {
    this.#name = basename(path)
    const text = this.#read(path)
    if (text === undefined) return
    try {
      const options = { version: '1.2', lineCounter: this.#lines, prettyErrors: false, logLevel: 'error' } as const
      this.#document = parseDocument(text, options)
      // Only the first: after it the parser reports consequences.
      for (const error of this.#document.errors.slice(0, 1))
        this.problems.push({ where: this.#at(error.pos[0]), problem: error.message.split('\n')[0] ?? error.code })
      if (this.problems.length > 0) return
      this.#substitute(this.#document, variables)
      this.value = this.#document.toJS({ maxAliasCount: 100 })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.problems.push({ where: this.#name, problem: `the file cannot be read as YAML: ${why}` })
    }
  }

  complain(path: Path, problem: Omit<TelemetryProblem, 'where'>): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push({ where: this.placeOf(path), ...problem })
  }

  /** `otel-config.yaml:12:5 tracer_provider.sampler`; of what is missing, the place of what should contain it. */
  placeOf(path: Path): string {
    let node: Node | null | undefined = this.#document?.contents
    let offset = node?.range?.[0] ?? 0
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
        if (pair === undefined) break
        if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      }
      const next: unknown = node !== null && node !== undefined && 'get' in node ? node.get(step, true) : undefined
      node = next as Node | undefined
      if (!isMap(node) && !isPair(node) && typeof step === 'number') offset = node?.range?.[0] ?? offset
      else if (typeof step === 'number') offset = node?.range?.[0] ?? offset
    }
    return `${this.#at(offset)} ${written(path)}`.trim()
  }

  #at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset)
    return `${this.#name}:${line}:${col}`
  }

  #read(path: string): string | undefined {
    try {
      const bytes = readFileSync(path)
      if (bytes.length <= MOST_BYTES) return bytes.toString()
      this.problems.push({ where: 'OTEL_CONFIG_FILE', problem: `"${path}" is larger than 1 MiB` })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      this.problems.push({ where: 'OTEL_CONFIG_FILE', problem: `the file "${path}" cannot be read: ${code}` })
    }
    return undefined
  }

  /** Fills in `${NAME}`, `${env:NAME}` and `${NAME:-default}`; `$$` is a dollar sign. Keys are left as they are. */
  #substitute(document: Document, variables: Variables): void {
    visit(document, {
      Scalar: (key, node) => {
        if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return
        const filled = node.value
          .split(/(\$\$)/)
          .map((part, index) => (index % 2 === 1 ? '$' : this.#filled(part, variables, node)))
          .join('')
        // Without quotes, the result has the type that it looks like, as anything else in YAML.
        node.value = node.type === Scalar.PLAIN ? typed(filled) : filled
      },
    })
  }

  #filled(text: string, variables: Variables, { range }: Scalar): string {
    return text.replace(/\$\{(?:env:)?([^}]*)\}/g, (whole, inner: string) => {
      const [, name, otherwise = ''] = /^([a-zA-Z_][a-zA-Z0-9_]*)(?::-([^\n}]*))?$/.exec(inner) ?? []
      if (name === undefined) {
        const problem = { problem: `"${whole}" names no variable`, allowed: '${NAME} or ${NAME:-default}' }
        this.problems.push({ where: this.#at(range?.[0] ?? 0), ...problem })
        return ''
      }
      this.substituted.add(name)
      return variables[name]?.trim() || otherwise
    })
  }
}

function typed(text: string): unknown {
  if (text === '' || text === '~' || text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : text
}

function written(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}
