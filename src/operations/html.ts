/** Markup that is safe to send as it is. Only `html` makes it. */
export class Html {
  readonly #markup: string

  constructor(markup: string) {
    this.#markup = markup
  }

  toString(): string {
    return this.#markup
  }
}

/** What may stand in a template; nothing is written for `undefined` and `false`. */
export type Content = Html | string | number | false | undefined | readonly Content[]

/**
 * Markup with values in it, each escaped unless it is markup itself: paths, user agents and error messages come from whoever
 * sends requests. Attribute values must stand in double quotes.
 */
export function html(literals: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(literals.reduce((markup, literal, index) => markup + toMarkup(values[index - 1]) + literal))
}

function toMarkup(content: Content): string {
  if (content === undefined || content === false) return ''
  if (content instanceof Html) return content.toString()
  if (typeof content === 'object') return content.map(toMarkup).join('')
  return String(content).replace(/[&<>"'`]/g, character => `&#${character.charCodeAt(0)};`)
}
