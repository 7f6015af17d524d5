import { isIP } from 'node:net'
import { ORIGIN_PATTERN, parseOrigin } from './origin'
import { notText, refuse, type Parsed } from './parsed'
import { parseTarget, TARGET_FORMS, type TargetConfig } from './target'

/** A source of targets: the targets of the upstream come and go with what it lists. */
export type TargetSource =
  /** Each address of the origin's name is a target. */
  | { readonly kind: 'dns'; readonly origin: string }
  /** Each address of each server that the SRV records name is a target. */
  | { readonly kind: 'srv'; readonly name: string; readonly scheme: 'http' | 'https' }
  /** Each entry of a list in a file is a target. */
  | { readonly kind: 'file'; readonly path: string }

const ALLOWED =
  'a URL such as http://127.0.0.1:9001, { url: http://127.0.0.1:9001, weight: 2 }, { dns: http://orders.internal:8080 }, { srv: _http._tcp.orders.internal } or { file: targets.yaml }'
const SRV_ALLOWED = 'the name of SRV records, such as _http._tcp.orders.internal'
const SRV_PATTERN = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))+$/i
const SCHEMES = ['http', 'https'] as const

const sourceForm = (key: string, description: string, more: object = {}, others: object = {}): object => ({
  type: 'object',
  properties: { [key]: { description, type: 'string', ...more }, ...others },
  required: [key],
  additionalProperties: false,
})

export const TARGET_OR_SOURCE_FORMS = [
  ...TARGET_FORMS,
  sourceForm('dns', 'Every address (A, AAAA) of the name is a target.', { pattern: `${ORIGIN_PATTERN}|\\$\\{` }),
  sourceForm(
    'srv',
    'Every server of the SRV records is a target, by their priorities and weights.',
    {},
    {
      scheme: { description: 'Left out: `https` if the name begins with `_https.`, otherwise `http`.', enum: SCHEMES },
    },
  ),
  sourceForm('file', 'YAML or JSON file with a list of targets, relative to the working directory.'),
]

/** Parses an entry of `targets`. */
export function parseTargetOrSource(found: unknown): Parsed<TargetConfig | TargetSource> {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return parseTarget(found)
  const map = found as Record<string, unknown>
  const kind = (['dns', 'srv', 'file'] as const).find(key => key in map)
  if (kind === undefined) return 'url' in map ? parseTarget(found) : refuse('is not a target', ALLOWED)
  const keys = kind === 'srv' ? [kind, 'scheme'] : [kind]
  const unknown = Object.keys(map).find(key => !keys.includes(key))
  if (unknown !== undefined) return refuse(`has "${unknown}" beside "${kind}"`, ALLOWED)
  if (kind === 'dns') return parseDns(map['dns'])
  return kind === 'srv' ? parseSrv(map['srv'], map['scheme']) : parseFile(map['file'])
}

export function isSource(target: TargetConfig | TargetSource): target is TargetSource {
  return 'kind' in target
}

/** Whether the entry is a target itself. */
export function isWritten(target: TargetConfig | TargetSource): target is TargetConfig {
  return !isSource(target)
}

function parseDns(found: unknown): Parsed<TargetSource> {
  const origin = parseOrigin(found)
  if (!('value' in origin)) {
    return refuse(`has a dns that ${origin.mistake.problem}`, origin.mistake.allowed, origin.mistake.nearest)
  }
  const { hostname } = new URL(origin.value)
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) {
    return refuse('has a dns that is an address: it has no records', 'scheme, name and port', origin.value)
  }
  return { value: { kind: 'dns', origin: origin.value } }
}

function parseSrv(found: unknown, scheme: unknown): Parsed<TargetSource> {
  if (typeof found !== 'string') {
    const { problem } = notText(found, SRV_ALLOWED).mistake
    return refuse(`has a srv that ${problem}`, SRV_ALLOWED)
  }
  if (!SRV_PATTERN.test(found)) return refuse('has a srv that is not a name', SRV_ALLOWED)
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    return refuse('has a scheme that is neither http nor https', 'http, https')
  }
  return { value: { kind: 'srv', name: found, scheme: scheme ?? (/^_https\./i.test(found) ? 'https' : 'http') } }
}

function parseFile(found: unknown): Parsed<TargetSource> {
  if (typeof found === 'string' && found !== '') return { value: { kind: 'file', path: found } }
  return refuse('has a file that is not a path', 'the path of a YAML or JSON file')
}

/** `all addresses of http://orders.internal:8080`. */
export function sourceText(source: TargetSource): string {
  if (source.kind === 'dns') return `all addresses of ${source.origin}`
  return source.kind === 'srv' ? `SRV records of ${source.name} (${source.scheme})` : `the list in ${source.path}`
}
