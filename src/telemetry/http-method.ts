/**
 * Methods allowed as label values (OpenTelemetry HTTP conventions). Others are `_OTHER`, so clients cannot create
 * series.
 */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'QUERY',
  'TRACE',
])

export const OTHER_METHOD = '_OTHER'

export function methodLabel(method: string | undefined): string {
  return method !== undefined && KNOWN_METHODS.has(method) ? method : OTHER_METHOD
}

/** Returns the method for a span's name: `HTTP` for an unknown method. */
export function spanMethod(label: string): string {
  return label === OTHER_METHOD ? 'HTTP' : label
}
