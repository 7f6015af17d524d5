import { REASONS, type Reason } from '../errors/reasons'

/** What an error page may show. */
export interface ErrorPageValues {
  readonly reason: Reason
  readonly requestId: string
  /** Undefined without a trace. */
  readonly traceId: string | undefined
  /** Seconds until a retry makes sense; undefined if unknown. */
  readonly retryAfter: string | undefined
}

/** An HTML page for errors: text between placeholders. */
export type ErrorPage = readonly Part[]

type Part = { readonly text: string } | { readonly name: PlaceholderName }

const PLACEHOLDERS = {
  status: ({ reason }) => String(REASONS[reason].status),
  title: ({ reason }) => REASONS[reason].title,
  reason: ({ reason }) => reason,
  requestId: ({ requestId }) => requestId,
  traceId: ({ traceId = '' }) => traceId,
  retryAfter: ({ retryAfter = '' }) => retryAfter,
} satisfies Readonly<Record<string, (values: ErrorPageValues) => string>>

type PlaceholderName = keyof typeof PLACEHOLDERS

/** `{{status}}`, `{{title}}`, `{{reason}}`, `{{requestId}}`, `{{traceId}}`, `{{retryAfter}}`. */
export const PLACEHOLDER_NAMES = Object.keys(PLACEHOLDERS) as readonly PlaceholderName[]

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g

/** The first placeholder of a template that does not exist, with its line; undefined if all exist. */
export function unknownPlaceholder(template: string): { readonly name: string; readonly line: number } | undefined {
  for (const { 1: name = '', index } of template.matchAll(PLACEHOLDER)) {
    if (!isPlaceholder(name)) return { name, line: template.slice(0, index).split('\n').length }
  }
  return undefined
}

/** Splits a template once, so that an answer only joins strings. */
export function parseErrorPage(template: string): ErrorPage {
  return template.split(PLACEHOLDER).map((part, index): Part => {
    if (index % 2 === 0) return { text: part }
    return isPlaceholder(part) ? { name: part } : { text: '' }
  })
}

export function renderErrorPage(page: ErrorPage, values: ErrorPageValues): string {
  return page.map(part => ('text' in part ? part.text : escaped(PLACEHOLDERS[part.name](values)))).join('')
}

/** For clients that prefer plain text: title, reason and where to look it up. */
export function plainError({ reason, requestId, traceId }: ErrorPageValues): string {
  const { status, title } = REASONS[reason]
  const lines = [`${status} ${title}`, `reason: ${reason}`]
  if (requestId !== '') lines.push(`request id: ${requestId}`)
  if (traceId !== undefined) lines.push(`trace id: ${traceId}`)
  return `${lines.join('\n')}\n`
}

/** For browsers where no page is configured. No scripts, no other requests. */
export const DEFAULT_ERROR_PAGE = parseErrorPage(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{status}} {{title}}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto 0; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 1rem }
p { opacity: .75; overflow-wrap: anywhere }
</style>
<h1>{{title}}</h1>
<p>Status {{status}} ({{reason}})</p>
<p>Request id: {{requestId}}</p>
</html>
`)

function isPlaceholder(name: string): name is PlaceholderName {
  return Object.hasOwn(PLACEHOLDERS, name)
}

/** The request id may come from a trusted proxy. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, found => `&#${found.charCodeAt(0)};`)
}
