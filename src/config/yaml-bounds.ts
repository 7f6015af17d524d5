import { Lexer } from 'yaml'
import { mistake, type Mistake } from './values/parsed'

/** Ten for each of a few thousand routes. */
const MAX_LINES = 50_000
/** Words, indicators, spaces and line breaks as YAML's lexer counts them: some fifty for a route. */
const MAX_TOKENS = 200_000
/** Lists and maps in each other; `gateway.yaml` needs seven. */
const MAX_DEPTH = 100
const MAX_ALIASES = 1_000

/** What the lexer puts in front of documents and scalars, and behind broken collections; none of it is in the text. */
const DOCUMENT = '\u0002'
const FLOW_ERROR_END = '\u0018'
const SCALAR = '\u001f'

/**
 * What makes a text more than the parser should be asked to read: its time grows faster than the text, up to minutes for a
 * megabyte. Costs far less than parsing.
 */
export function excessIn(text: string): { readonly offset: number; readonly mistake: Mistake } | undefined {
  const end = endOfLine(text, MAX_LINES)
  if (end < text.length) return { offset: end, mistake: mistake('the file has too many lines', `at most ${MAX_LINES}`) }
  let offset = 0
  let tokens = 0
  let aliases = 0
  let flowDepth = 0
  /** `-` and `?` before anything else on a line: each begins a list or map in the one before. */
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
        mistake: mistake('the file has too many values', `at most ${MAX_TOKENS} words and signs of YAML`),
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
        mistake: mistake('the file is nested too deeply', `at most ${MAX_DEPTH} lists and maps in each other`),
      }
    if (aliases > MAX_ALIASES)
      return { offset, mistake: mistake('the file has too many aliases', `at most ${MAX_ALIASES}`) }
    offset += token.length
  }
  return undefined
}

/** Where the given line ends; the length of the text when it has no more lines. */
function endOfLine(text: string, line: number): number {
  let end = -1
  for (let lines = 0; lines < line; lines++) {
    end = text.indexOf('\n', end + 1)
    if (end === -1) return text.length
  }
  return end + 1
}
