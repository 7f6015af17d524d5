/** Methods that may be a label value (OpenTelemetry HTTP conventions); all others are `_OTHER`, or clients could make series. */
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

/** The method as it stands in a span's name: `HTTP` where it is not a known one. */
export function spanMethod(label: string): string {
  return label === OTHER_METHOD ? 'HTTP' : label
}
