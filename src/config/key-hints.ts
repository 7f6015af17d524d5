import { mistake, type Mistake } from './values/parsed'

/** Keys of other gateways and proxies, by the map in which people write them, and the equivalent key here. */

const SECONDS = 'timeouts: { response: 30s }'
const LIMIT = 'rateLimit: { limit: 100, window: 1m }'
const AUTH = 'auth: { apiKey: {} }'

const IN_ROUTE: Hints = {
  'path paths uri uris prefix pathprefix location locations pattern url': 'match: { path: /… }',
  'hosts hostname hostnames domain domains servername': 'match: { host: … }',
  'preservehost passhost passhostheader hostheader upstreamhost': 'host: client',
  'method methods verbs': 'match: { methods: [GET] }',
  'header headers': 'match: { headers: … }, or requestHeaders',
  'exact pathtype': 'match: { exact: true }',
  'regex regexp pathregex': 'match: { path: /…, pattern: … }',
  'rule rules predicates': 'match',
  'strippath stripprefix striprequestpath striprequesturi': 'rewrite: { stripPrefix: /… }',
  'rewritepath urlrewrite prefixrewrite rewritetarget replacepath replaceprefix addprefix':
    'rewrite: { stripPrefix: /…, addPrefix: /… }, or rewrite: { path: /v2/:id }',
  'service services backend backends backendrefs target targets cluster proxypass upstreamid upstreamurl forwardto':
    'upstream: the name of an entry of "upstreams"',
  'timeout readtimeout proxyreadtimeout sendtimeout requesttimeout connecttimeout': SECONDS,
  'retry retries numretries': 'retries of the upstream, and retry of the route',
  'limit limits ratelimits ratelimiting throttle throttling limitreq limitcount': LIMIT,
  'jwt oidc oauth2 jwtauth authentication': 'auth: { jwt: { tokens: … } }',
  'keyauth apikey apikeys key': AUTH,
  'allow deny whitelist blacklist allowlist denylist ipwhitelist ipallowlist iprestriction':
    'access: { allow: […], deny: […] }',
  'clientmaxbodysize bodysize maxbody requestsizelimiting bodylimit': 'maxBodySize: 1MiB',
  'return response staticresponse mock directresponse faultfilter': 'respond: { status: 200, body: … }',
  'redirecturl redirectto': 'redirect: { to: … }',
  'addheaders setheaders requestheaderstoadd requesttransformer proxysetheader': 'requestHeaders: { set: … }',
  'responseheaderstoadd responsetransformer': 'responseHeaders: { set: … }',
  'websockets enablewebsocket ws': 'websocket: true',
  'enabled disabled active': 'maintenance: true, or no such route',
}

const WITHOUT_KEY_IN_ROUTE: Hints = {
  'priority order weight regexpriority': 'has no equivalent: the most specific route wins, whatever the order',
  'plugins middlewares middleware filters policies':
    'has no equivalent: each policy is a key of its own, such as auth, cors and rateLimit',
}

const IN_UPSTREAM: Hints = {
  'server servers node nodes endpoint endpoints url urls hosts backend backends address addresses loadassignment':
    'targets: [http://127.0.0.1:9001]',
  'algorithm lbpolicy loadbalancing loadbalancer loadbalancingpolicy lb policy strategy': 'balance: round-robin',
  'hashon hashpolicy sticky': 'balance: hash, with hashKey',
  'healthchecks checks check health healthchecking': 'healthCheck: { path: /healthz }',
  'retry numretries retrypolicy proxynextupstream': 'retries: { attempts: 2 }',
  'maxconns keepalive keepaliveconnections poolsize maxpoolsize': 'maxConnections: 128',
  'timeout connecttimeout readtimeout proxyreadtimeout proxyconnecttimeout writetimeout':
    'timeouts: { connect: 1s, response: 30s }',
  'outlierdetection circuitbreakers passivehealthcheck maxfails': 'circuitBreaker: { failures: 5 }',
  'tlsverify cacertificates clientcertificate ssl': 'tls: { ca: … }',
}

const IN_MATCH: Hints = {
  'paths prefix pathprefix uri url': 'path: /…',
  'pathtype type': 'exact: true',
  'regex regexp pathregex': 'pattern: …',
  'casesensitive caseinsensitive pathignorecase': 'ignoreCase: true',
  'hosts hostname hostnames domain': 'host: …',
  verbs: 'methods: [GET]',
}

const IN_FILE: Hints = {
  'service services backend backends clusters cluster': 'upstreams',
  'listen listener listeners server servers port host address http':
    'the variables PORT and HOST; entrypoint for its limits',
  'frontend frontends entrypoints': 'entrypoint',
  'issuers jwt': 'tokens',
  'users keys apikeys': 'consumers',
  'virtualhosts location locations paths rules endpoints': 'routes',
}

const IN_ENTRYPOINT: Hints = {
  'port host listen address bind': 'the variables PORT and HOST',
  'proxyprotocol realipfrom setrealipfrom trusteddownstream': 'trustedProxies: […]',
  'clientmaxbodysize bodysize': 'maxBodySize: 1MiB',
  'certificate certificates ssl cert': 'tls: { cert: …, key: … }',
}

/** YAML 1.1 reads `on` as `true`, and its tools write `true` back. */
const IN_CONDITIONS: Hints = { true: 'conditions (a YAML 1.1 tool has written the older name "on" as true)' }

type Hints = Readonly<Record<string, string>>

/** Identifies a map of the file by a key that only it has. */
const MAPS: readonly (readonly [key: string, nearest: Hints, problems?: Hints])[] = [
  ['match', IN_ROUTE, WITHOUT_KEY_IN_ROUTE],
  ['targets', IN_UPSTREAM],
  ['exact', IN_MATCH],
  ['routes', IN_FILE],
  ['trustedProxies', IN_ENTRYPOINT],
  ['conditions', IN_CONDITIONS],
]

/** The message for an unknown key that other programs have; undefined for any other key. */
export function foreignKey(key: string, valid: readonly string[]): Mistake | undefined {
  const allowed = valid.join(', ')
  if (key === '<<') {
    const problem = 'is a merge key of YAML 1.1, which is not part of YAML 1.2'
    return mistake(problem, `${allowed}; an alias stands for a whole value, such as timeouts: *times`)
  }
  const [, nearest, problems] = MAPS.find(([mark]) => valid.includes(mark)) ?? []
  const name = key.toLowerCase().replace(/[-_.]/g, '')
  const problem = problems && hintFor(name, problems)
  if (problem !== undefined) return mistake(problem, allowed)
  const meant = nearest && hintFor(name, nearest)
  return meant === undefined ? undefined : mistake('is not a key here', allowed, meant)
}

function hintFor(name: string, hints: Hints): string | undefined {
  return Object.entries(hints).find(([names]) => names.split(' ').includes(name))?.[1]
}
