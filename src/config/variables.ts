import { isPair, isScalar, isSeq, Scalar, visit, type Document } from 'yaml'
import type { Environment } from './env'
import { nearestName } from './nearest-name'
import { refuse, type Mistake, type Parsed } from './values/parsed'

/** The path of a value in the file: `['routes', 0, 'match', 'path']`. */
export type Path = readonly PropertyKey[]

/** The result of replacing `${NAME}` in a document. */
export interface Filled {
  /** Scalars that contained a variable. Their values may be secrets, so messages show them as written. */
  readonly scalars: ReadonlySet<unknown>
  /** Scalars that could not be replaced, and why. */
  readonly unfilled: ReadonlyMap<unknown, Unfilled>
}

export interface Unfilled {
  readonly path: Path
  readonly text: string
  readonly mistake: Mistake
}

const REFERENCE = /\$\$|\$\{([^}]*)(\}?)/g
const ALLOWED = '${NAME}, or ${NAME:-default} for when it is not set; $$ for a dollar sign'

/**
 * Replaces `${NAME}` and `${NAME:-default}` in the document's values, in place; an empty variable counts as unset. It
 * works on parsed scalars and never on the text, so that a variable cannot add keys.
 */
export function fillVariables(document: Document, env: Environment): Filled {
  const scalars = new Set<unknown>()
  const unfilled = new Map<unknown, Unfilled>()
  visit(document, {
    Scalar(key, scalar, ancestors) {
      const text = scalar.value
      // An inherited scalar is in several places: filled twice, the value of a variable could name another one.
      if (key === 'key' || typeof text !== 'string' || scalars.has(scalar) || !/\$[${]/.test(text)) return
      scalars.add(scalar)
      const found = fill(text, env)
      if ('mistake' in found) {
        const path = pathOf([...ancestors, scalar])
        unfilled.set(scalar, { path, text, mistake: found.mistake })
        return
      }
      scalar.value = scalar.type === Scalar.PLAIN ? typed(found.value) : found.value
    },
  })
  return { scalars, unfilled }
}

export function fill(text: string, env: Environment): Parsed<string> {
  let failed: { readonly mistake: Mistake } | undefined
  const value = text.replace(REFERENCE, (_, reference: string | undefined, brace: string | undefined) => {
    if (reference === undefined) return '$'
    const found = brace === '}' ? lookUp(reference, env) : refuse('has a "${" without its "}"', ALLOWED)
    if ('value' in found) return found.value
    failed ??= found
    return ''
  })
  return failed ?? { value }
}

function lookUp(reference: string, env: Environment): Parsed<string> {
  const [, name, otherwise] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(reference) ?? []
  if (name === undefined) return refuse(`has "\${${reference}}", which names no variable`, ALLOWED)
  const value = env[name] || otherwise
  if (value !== undefined) return { value }
  const state = env[name] === undefined ? 'is not set' : 'is empty'
  const others = Object.keys(env).filter(other => other !== name)
  return refuse(
    `needs the variable ${name}, which ${state}`,
    `a variable with a value, or a default: \${${name}:-default}`,
    nearestName(name, others),
  )
}

/** Types the value as YAML would without quotes, so that `limit: ${LIMIT:-100}` is a number. */
function typed(text: string): string | number {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? Number(text) : text
}

function pathOf(nodes: readonly unknown[]): Path {
  return nodes.flatMap((node, index): PropertyKey[] => {
    if (isPair(node)) return [isScalar(node.key) ? String(node.key.value) : '?']
    return isSeq(node) ? [node.items.indexOf(nodes[index + 1])] : []
  })
}
