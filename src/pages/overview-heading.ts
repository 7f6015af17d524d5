import { html, type Content, type Html } from './html'

export interface OverviewHeading {
  readonly kind: 'good' | 'warn' | 'bad'
  /** The state in a word. */
  readonly word: string
  readonly title: string
  /** List items, the most urgent first. */
  readonly concerns: readonly Html[]
  /** Maximum concerns that are listed; of the rest only the number is shown. */
  readonly maxConcerns: number
  /** When and how the page was made. */
  readonly made: Content
}

/** The top of an overview page: the state, and what needs attention. */
export function overviewHeading({ kind, word, title, concerns, maxConcerns, made }: OverviewHeading): Html {
  return html`<div class="heading ${kind}">
    <div>
      <p><span class="pill ${kind}">${word}</span></p>
      <h1>${title}</h1>
      ${
        concerns.length > 0 &&
        html`<ul class="concerns">
          ${concerns.slice(0, maxConcerns)}
          ${concerns.length > maxConcerns && html`<li class="muted">and ${concerns.length - maxConcerns} more</li>`}
        </ul>`
      }
    </div>
    <p class="muted small made">${made}</p>
  </div>`
}

export function thingsToLookAt(count: number): string {
  return count === 1 ? 'One thing to look at' : `${count} things to look at`
}
