/** `name=value,name=value`, percent-encoded, for every export: `OTEL_EXPORTER_OTLP_HEADERS` and its like per signal. */

/** A field name of HTTP (RFC 9110 §5.6.2), which gRPC's names are too. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** A field value that Node sends: no control characters except the tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]+$/
/** The SDK silently drops headers beyond this length. */
const MAX_CHARACTERS = 8_192

/** Problems with the headers, one sentence each. The values may be secrets, so none is repeated. */
export function problemsWithHeaders(text: string): string[] {
  const problems = text.split(',').flatMap((entry, index) => {
    const problem = entry.trim() === '' ? undefined : problemWithEntry(entry)
    return problem === undefined ? [] : [`entry ${index + 1} ${problem}`]
  })
  if (text.length > MAX_CHARACTERS) problems.push(`it has ${text.length} characters, more than are sent`)
  return problems
}

function problemWithEntry(entry: string): string | undefined {
  const separator = entry.indexOf('=')
  const name = decoded(entry.slice(0, separator).trim())
  const raw = entry.slice(separator + 1).trim()
  const value = decoded(raw)
  if (separator <= 0 || name === undefined || value === undefined || value === '')
    return 'is not a percent-encoded name=value pair'
  if (!NAME.test(name)) return 'has a name that is no name of a header field'
  // The SDK treats it as the start of baggage metadata and drops the rest.
  if (raw.includes(';')) return 'has a ";" in its value, which must be written %3B'
  return VALUE.test(value)
    ? undefined
    : 'has a character in its value that no header field can have, such as a line break'
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
