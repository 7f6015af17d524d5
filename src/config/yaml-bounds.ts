import { Lexer } from 'yaml'
import { mistake, type Mistake } from './values/parsed'

/** Maximum lines: ten for each of a few thousand routes. */
const MAX_LINES = 50_000
/** Maximum tokens (words, indicators, spaces and line breaks) as YAML's lexer counts them: about fifty per route. */
const MAX_TOKENS = 200_000
/** Maximum nesting of lists and maps; `gateway.yaml` needs seven. */
const MAX_DEPTH = 100
const MAX_ALIASES = 1_000

/** Marks that the lexer emits before documents and scalars and after broken collections; they are not in the text. */
const DOCUMENT = '\u0002'
const FLOW_ERROR_END = '\u0018'
const SCALAR = '\u001f'

/**
 * Finds what makes a text too large for the parser, whose time grows faster than the text: up to minutes for a
 * megabyte. This check costs far less than parsing.
 */
export function excessIn(text: string): { readonly offset: number; readonly mistake: Mistake } | undefined {
  const end = endOfLine(text, MAX_LINES)
  if (end < text.length) return { offset: end, mistake: mistake('the file has too many lines', `at most ${MAX_LINES}`) }
  let offset = 0
  let tokens = 0
  let aliases = 0
  let flowDepth = 0
  /** `-` and `?` at the start of a line: each opens a list or map inside the one before. */
  let lineDepth = 0
  let isScalar = false
  for (const token of new Lexer().lex(text)) {
    if (token === SCALAR) {
      isScalar = true
      continue
    }
    if (token === DOCUMENT || token === FLOW_ERROR_END) continue
    if (++tokens > MAX_TOKENS)
      return {
        offset,
        mistake: mistake('the file has too many values', `at most ${MAX_TOKENS} YAML tokens`),
      }
    if (!isScalar) {
      if (token === '[' || token === '{') flowDepth++
      else if (token === ']' || token === '}') flowDepth--
      else if (token === '-' || token === '?') lineDepth++
      else if (token.startsWith('*')) aliases++
      else if (token === '\n' || token === '\r\n') lineDepth = 0
    }
    isScalar = false
    if (flowDepth + lineDepth > MAX_DEPTH)
      return {
        offset,
        mistake: mistake('the file is nested too deeply', `at most ${MAX_DEPTH} levels of lists and maps`),
      }
    if (aliases > MAX_ALIASES)
      return { offset, mistake: mistake('the file has too many aliases', `at most ${MAX_ALIASES}`) }
    offset += token.length
  }
  return undefined
}

/** The offset of a line's end; the length of the text if it has fewer lines. */
function endOfLine(text: string, line: number): number {
  let end = -1
  for (let lines = 0; lines < line; lines++) {
    end = text.indexOf('\n', end + 1)
    if (end === -1) return text.length
  }
  return end + 1
}
