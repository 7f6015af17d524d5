/** Text that is HTML already. Only the `html` tag creates it, so that nothing reaches a page unescaped. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

export type Content = Html | string | number | false | undefined | readonly Content[]

/**
 * A piece of a page: html`<p class="${name}">${text}</p>`. What is filled in is escaped unless it came from this tag itself;
 * lists are joined, `undefined` and `false` are nothing. Values stand in text or between the quotes of an attribute and
 * nowhere else: no escaping makes them safe inside of a script, a style sheet or a tag's name.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(parts.reduce((text, part, index) => text + toText(values[index - 1]) + part))
}

function toText(value: Content): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (typeof value === 'object') return value.map(toText).join('')
  return escapeHtml(String(value))
}

/**
 * Control characters, lone surrogates, and characters that change the writing direction. Such a character in a path
 * would reverse the text after it and make one trace id look like another.
 */
const UNSEEN = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

function escapeHtml(text: string): string {
  return text
    .replaceAll(UNSEEN, character => (character === '\n' || character === '\t' ? character : '\ufffd'))
    .replaceAll(/[&<>"'`]/g, character => `&#${character.charCodeAt(0)};`)
}
