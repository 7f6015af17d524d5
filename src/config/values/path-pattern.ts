import { RE2JS } from 're2js'
import { notText, refuse, type Parsed } from './parsed'

/**
 * Regular expressions for paths, in RE2's syntax: without back-references and look-around, so that matching takes time
 * linear in the path's length, whatever a client sends. Node's own engine can take exponential time.
 */

const ALLOWED = 'a regular expression for the whole path in RE2 syntax, such as /articles/(?<id>[0-9]+)-.*'
const MAX_CHARACTERS = 256
/** Maximum size of a compiled pattern: matching takes up to this many steps per character of a path. */
const MAX_PROGRAM = 1_000

export function parsePathPattern(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (found.length > MAX_CHARACTERS) return refuse(`is longer than ${MAX_CHARACTERS} characters`, ALLOWED)
  if (!/^\^?(?:\(\?[a-z]+\))?\//.test(found))
    return refuse('does not begin with "/": it must match the whole path', ALLOWED)
  try {
    const isTooLarge = RE2JS.compile(found).programSize() > MAX_PROGRAM
    return isTooLarge ? refuse('repeats too much: matching it would take too long', ALLOWED) : { value: found }
  } catch (error) {
    return refuse(
      `is not a valid expression: ${(error as Error).message.replace('error parsing regexp: ', '')}`,
      ALLOWED,
    )
  }
}

export class PathPattern {
  readonly #expression: RE2JS

  constructor(text: string, ignoreCase: boolean) {
    this.#expression = RE2JS.compile(text, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
  }

  get groupNames(): string[] {
    return Object.keys(this.#expression.namedGroups())
  }

  matches(path: string): boolean {
    return this.#expression.testExact(path)
  }

  /** The text of a named group; empty if the group did not take part in the match. */
  groupsOf(path: string): ((name: string) => string) | undefined {
    const matcher = this.#expression.matcher(path)
    return matcher.matches() ? name => matcher.group(name) ?? '' : undefined
  }
}
