import { isIP } from 'node:net'
import { ORIGIN_PATTERN, parseOrigin } from './origin'
import { notText, refuse, type Parsed } from './parsed'
import { parseTarget, TARGET_FORMS, type TargetConfig } from './target'

/** A source of targets: the targets of the upstream come and go with what it lists. */
export type TargetSource =
  /** Each address of the origin's name is a target. */
  | { readonly kind: 'dns'; readonly origin: string }
  /** Each address of each server that the SRV records name is a target. */
  | { readonly kind: 'srv'; readonly name: string; readonly scheme: Scheme }
  /** Each ready pod of a Kubernetes Service is a target. */
  | KubernetesSource
  /** Each entry of a list in a file is a target. */
  | { readonly kind: 'file'; readonly path: string }

export interface KubernetesSource {
  readonly kind: 'kubernetes'
  readonly service: string
  /** Undefined: the one that the gateway runs in. */
  readonly namespace: string | undefined
  /** Name of a port of the Service, or the number that its pods listen on; undefined: its only port. */
  readonly port: string | number | undefined
  readonly scheme: Scheme
}

type Scheme = 'http' | 'https'

const ALLOWED =
  'a URL such as http://127.0.0.1:9001, { url: http://127.0.0.1:9001, weight: 2 }, { dns: http://orders.internal:8080 }, { srv: _http._tcp.orders.internal }, { kubernetes: orders } or { file: targets.yaml }'
const SRV_ALLOWED = 'the name of SRV records, such as _http._tcp.orders.internal'
const SRV_PATTERN = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))+$/i
const SCHEMES = ['http', 'https'] as const
/** RFC 1123 label. Variables are replaced before a value is parsed; the schema of editors sees them. */
const LABEL_PATTERN = '^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$'
const LABEL = new RegExp(LABEL_PATTERN)
const LABEL_ALLOWED = 'lower-case letters, digits and "-", at most 63 of them'
const PORT_ALLOWED = 'the name of a port of the Service, or the number that its pods listen on (1 to 65535)'

/** The keys that an entry of each kind may have. */
const KEYS = {
  dns: ['dns'],
  srv: ['srv', 'scheme'],
  kubernetes: ['kubernetes', 'namespace', 'port', 'scheme'],
  file: ['file'],
} as const satisfies Record<TargetSource['kind'], readonly string[]>
const KINDS = Object.keys(KEYS) as (keyof typeof KEYS)[]

const sourceForm = (key: string, description: string, more: object = {}, others: object = {}): object => ({
  type: 'object',
  properties: { [key]: { description, type: 'string', ...more }, ...others },
  required: [key],
  additionalProperties: false,
})
const LABEL_OR_VARIABLE = { type: 'string', pattern: `${LABEL_PATTERN}|\\$\\{` }

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
  sourceForm('kubernetes', 'Every ready pod of the Kubernetes Service of this name is a target.', LABEL_OR_VARIABLE, {
    namespace: { description: 'Left out: the namespace of the gateway.', ...LABEL_OR_VARIABLE },
    port: {
      description:
        'Name of a port of the Service, or the number that its pods listen on. Left out: its only port. A Service with several ports needs one.',
      anyOf: [{ type: 'integer', minimum: 1, maximum: 65_535 }, LABEL_OR_VARIABLE],
    },
    scheme: { description: 'Left out: `https` if the port is named `https`, otherwise `http`.', enum: SCHEMES },
  }),
  sourceForm('file', 'YAML or JSON file with a list of targets, relative to the working directory.'),
]

/** Parses an entry of `targets`. */
export function parseTargetOrSource(found: unknown): Parsed<TargetConfig | TargetSource> {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return parseTarget(found)
  const map = found as Record<string, unknown>
  const kind = KINDS.find(key => key in map)
  if (kind === undefined) return 'url' in map ? parseTarget(found) : refuse('is not a target', ALLOWED)
  const keys: readonly string[] = KEYS[kind]
  const unknown = Object.keys(map).find(key => !keys.includes(key))
  if (unknown !== undefined) return refuse(`has "${unknown}" beside "${kind}"`, ALLOWED)
  switch (kind) {
    case 'dns':
      return parseDns(map['dns'])
    case 'srv':
      return parseSrv(map['srv'], map['scheme'])
    case 'kubernetes':
      return parseKubernetes(map)
    case 'file':
      return parseFile(map['file'])
  }
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
  if (!isScheme(scheme)) return WRONG_SCHEME
  return { value: { kind: 'srv', name: found, scheme: scheme ?? (/^_https\./i.test(found) ? 'https' : 'http') } }
}

function parseKubernetes(map: Readonly<Record<string, unknown>>): Parsed<TargetSource> {
  const { kubernetes: service, namespace, port, scheme } = map
  if (!isLabel(service)) {
    // `orders.shop` is how other programs write a Service of another namespace.
    const [name, other, ...rest] = typeof service === 'string' ? service.split('.') : []
    const isQualified =
      isLabel(name) && isLabel(other) && rest.every(part => ['svc', 'cluster', 'local'].includes(part))
    const nearest = isQualified ? `{ kubernetes: ${name}, namespace: ${other} }` : undefined
    return refuse('has a kubernetes that is not the name of a Service', LABEL_ALLOWED, nearest)
  }
  if (namespace !== undefined && !isLabel(namespace)) {
    return refuse('has a namespace that is not a name', LABEL_ALLOWED)
  }
  // A variable is text.
  const portRead = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port
  const isPort =
    typeof portRead === 'number'
      ? Number.isInteger(portRead) && portRead >= 1 && portRead <= 65_535
      : portRead === undefined || isLabel(portRead)
  if (!isPort) return refuse('has a port that is neither a name nor a number of a port', PORT_ALLOWED)
  if (!isScheme(scheme)) return WRONG_SCHEME
  return {
    value: {
      kind: 'kubernetes',
      service,
      namespace,
      port: portRead as string | number | undefined,
      scheme: scheme ?? (portRead === 'https' ? 'https' : 'http'),
    },
  }
}

function isLabel(found: unknown): found is string {
  return typeof found === 'string' && LABEL.test(found)
}

function isScheme(found: unknown): found is Scheme | undefined {
  return found === undefined || found === 'http' || found === 'https'
}

const WRONG_SCHEME = refuse('has a scheme that is neither http nor https', 'http, https')

function parseFile(found: unknown): Parsed<TargetSource> {
  if (typeof found === 'string' && found !== '') return { value: { kind: 'file', path: found } }
  return refuse('has a file that is not a path', 'the path of a YAML or JSON file')
}

/** `all addresses of http://orders.internal:8080`. */
export function sourceText(source: TargetSource): string {
  switch (source.kind) {
    case 'dns':
      return `all addresses of ${source.origin}`
    case 'srv':
      return `SRV records of ${source.name} (${source.scheme})`
    case 'kubernetes': {
      const { namespace, service, port, scheme } = source
      const name = namespace === undefined ? service : `${namespace}/${service}`
      return `ready pods of service ${name}${port === undefined ? '' : `, port ${port}`} (${scheme})`
    }
    case 'file':
      return `the list in ${source.path}`
  }
}
