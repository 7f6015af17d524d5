import { isIPv6 } from 'node:net'
import type { LogLine, ProvingTrace } from './evidence'
import type { LogSource } from './log-sources'
import type { Shown } from './shown'

/** Maximum lines of one trace, and of an alert; each has at most `MAX_CHARACTERS`. */
const MAX_OF_TRACE = 5
const MAX_LINES = 20
const MAX_CHARACTERS = 400
/** Clocks of machines differ, and services log after the response. */
const AROUND_MS = 60_000

/** The log lines of the failing requests, by trace and time. Rejects if the store does not answer. */
export async function findLogs(
  traces: readonly ProvingTrace[],
  source: LogSource,
  { shown, signal }: { readonly shown: Shown; readonly signal: AbortSignal },
): Promise<LogLine[]> {
  if (traces.length === 0) return []
  const ids = traces.map(({ traceId }) => traceId)
  const times = traces.map(({ timeMs }) => timeMs)
  const range = { startMs: Math.min(...times) - AROUND_MS, endMs: Math.max(...times) + AROUND_MS }
  const found = (await source.find(ids, range, signal)).toSorted((a, b) => a.timeMs - b.timeMs)
  return ids
    .flatMap(traceId =>
      found
        .filter(({ text }) => text.includes(traceId))
        .slice(0, MAX_OF_TRACE)
        .map(({ timeMs, service, text }) => ({
          traceId,
          timeMs,
          ...(service !== undefined && { service: service.slice(0, 60) }),
          text: redactLine(text, shown).slice(0, MAX_CHARACTERS),
        })),
    )
    .slice(0, MAX_LINES)
}

/** Fields of structured lines that may hold secrets or data about persons. */
const SECRET_FIELD = /authorization|cookie|token|secret|passw|api[-_.]?key|credential|session|signature|query/i
const PERSON_FIELD = /client|remote|peer|user|consumer|email|forwarded|\bip\b|[-_.]ip$/i
const LEFT_OUT = '…'

/**
 * Removes secrets, addresses and persons from a line: fields by their name, and in text everything that looks like one.
 * Logs of other services are free text, so more is removed than needed rather than less.
 */
export function redactLine(line: string, shown: Shown): string {
  const fields = parseObject(line)
  const text = fields === undefined ? line : JSON.stringify(redactFields(fields, shown))
  return redactText(text, shown).replaceAll(/\p{C}/gu, ' ')
}

function parseObject(line: string): object | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as object
  } catch {
    return undefined
  }
}

function redactFields(fields: object, shown: Shown, depth = 0): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => {
      if (SECRET_FIELD.test(name)) return [name, LEFT_OUT]
      if (PERSON_FIELD.test(name) && !(shown.clients && shown.consumers)) return [name, LEFT_OUT]
      if (isHeaders(name) && typeof value === 'object' && value !== null) return [name, redactHeaders(value, shown)]
      if (typeof value !== 'object' || value === null) return [name, value]
      return [name, depth > MAX_DEPTH ? LEFT_OUT : redactFields(value, shown, depth + 1)]
    }),
  )
}

const MAX_DEPTH = 4

function isHeaders(name: string): boolean {
  return /headers?$/i.test(name)
}

function redactHeaders(headers: object, shown: Shown): object {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]: [string, unknown]) => [
      name,
      shown.headers.includes(name.toLowerCase()) ? value : LEFT_OUT,
    ]),
  )
}

const IPV4 = /\b\d{1,3}(?:\.\d{1,3}){3}\b/g
/** Perhaps an IPv6 address; a clock time looks alike. */
const PERHAPS_IPV6 = /(?<![\w:])[0-9a-f:]*:[0-9a-f:]+(?![\w:])/gi
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, `$1 ${LEFT_OUT}`],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, LEFT_OUT],
  [/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, LEFT_OUT],
  [
    /(\w*(?:passw\w*|secret|token|api[-_]?key|cookie|authorization|session)\w*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"']+)/gi,
    `$1${LEFT_OUT}`,
  ],
  [/(https?:\/\/)[^\s/@"]+@/gi, '$1'],
  [/\?[^\s"'#]*=[^\s"'#]*/g, `?${LEFT_OUT}`],
]

function redactText(text: string, { clients }: Shown): string {
  const rest = withoutSecrets(text)
  if (clients) return rest
  return rest
    .replaceAll(IPV4, LEFT_OUT)
    .replaceAll(PERHAPS_IPV6, found => (isIPv6(found.replace(/(?<!:):$/, '')) ? LEFT_OUT : found))
}

/** Replaces everything in a text that looks like a credential or a mail address. */
export function withoutSecrets(text: string): string {
  return SECRETS.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), text)
}
