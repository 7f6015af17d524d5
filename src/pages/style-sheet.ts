import { createHash } from 'node:crypto'
import { Html } from './html'

/** CSS that a page may have: the browser takes only what has this hash, so nothing that gets into a page can add any. */
export interface StyleSheet {
  readonly element: Html
  /** As a source of `style-src` (Content Security Policy Level 3 §2.3.1). */
  readonly hash: string
}

/** @param rules fixed ones alone: values of requests have no place in CSS */
export function styleSheet(...rules: readonly string[]): StyleSheet {
  const css = rules.join('\n').replaceAll(/\n\s*/g, '\n').trim()
  const hash = createHash('sha256').update(css).digest('base64')
  // Made here, as the hash is of every character between the tags, blanks included.
  return { element: new Html(`<style>${css}</style>`), hash: `'sha256-${hash}'` }
}
