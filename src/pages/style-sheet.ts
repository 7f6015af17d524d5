import { createHash } from 'node:crypto'
import { Html } from './html'

/** CSS of a page. The browser accepts only CSS with this hash, so injected content cannot add any. */
export interface StyleSheet {
  readonly element: Html
  /** As a source of `style-src` (Content Security Policy Level 3 §2.3.1). */
  readonly hash: string
}

/** @param rules constant CSS; it must never contain values of requests */
export function styleSheet(...rules: readonly string[]): StyleSheet {
  const css = rules.join('\n').replaceAll(/\n\s*/g, '\n').trim()
  const hash = createHash('sha256').update(css).digest('base64')
  // Made here, as the hash is of every character between the tags, blanks included.
  return { element: new Html(`<style>${css}</style>`), hash: `'sha256-${hash}'` }
}
