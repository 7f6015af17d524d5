import { z } from 'zod'
import type { Environment } from './env'
import { hasErrors } from './problems'
import { quoted } from './quoted'
import { checkRedisTls } from './redis-tls-check'
import type { ConfigProblem } from './types'
import { unknownVariables } from './unknown-variables'
import { parseBearerToken } from './values/bearer-token'
import { choice, parseBoolean } from './values/choice'
import { field, type IssueParams } from './values/field'
import { parseHosts } from './values/host-names'
import { parseListenHost } from './values/listen-host'
import { refuse, type Parsed } from './values/parsed'
import { parsePublicUrl } from './values/public-url'
import { parseRedisUrl } from './values/redis-url'
import { wholeNumberText } from './values/whole-number'
import { INCIDENT_VARIABLES, KNOWN_VARIABLES } from './variable-names'

/** Settings of the incident service, from the environment. */
export interface IncidentSettings {
  /** `INCIDENTS_PORT`, 0 for any free port; default 9095. */
  readonly port: number
  /** `INCIDENTS_HOST`; default `127.0.0.1`. */
  readonly host: string
  /** `INCIDENT_PUBLIC_URL`: where people reach the pages, so that links in messages open; default made of host and port. */
  readonly publicUrl: string | undefined
  /** `PROMETHEUS_URL`; default `http://127.0.0.1:9090`. */
  readonly prometheusUrl: string
  /** `ALERTMANAGER_URLS`, separated by commas; default `http://127.0.0.1:9093`. */
  readonly alertmanagerUrls: readonly string[]
  /** `JAEGER_URL` (API v3) and `TEMPO_URL` (API v2): asked for traces that no gateway has any more. */
  readonly jaegerUrl: string | undefined
  readonly tempoUrl: string | undefined
  /** `OPS_TOKEN`: opens the gateways' ops ports where they are open to more than loopback. */
  readonly opsToken: string | undefined
  /** `OPS_TOKEN_HOSTS`, with commas: hosts that get `OPS_TOKEN`, beside those that Prometheus scrapes for `GATEWAY_JOB`. */
  readonly opsTokenHosts: readonly string[]
  /** `GATEWAY_JOB`: the job under which Prometheus scrapes the gateways; default `myesi-api`. */
  readonly gatewayJob: string
  /** `INCIDENTS_TOKEN`: bearer token for posting alerts, and for reading from far away. */
  readonly token: string | undefined
  /** `REDIS_URL`: where incidents are remembered; unset: in `INCIDENTS_FOLDER`, default `.incidents`. */
  readonly redisUrl: string | undefined
  /** `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`: for sentinels that ask for a login of their own. */
  readonly redisSentinelUsername: string | undefined
  readonly redisSentinelPassword: string | undefined
  /** `REDIS_TLS_CA_FILE`, `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`: as for the gateway. */
  readonly redisTlsCaFile: string | undefined
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  readonly folder: string
  /** `GRAFANA_URL`: where people reach Grafana; unset, pages have no links to dashboards. */
  readonly grafanaUrl: string | undefined
  /** `REPOSITORY_URL`: where this repository can be read; unset, pages name a runbook and do not link to it. */
  readonly repositoryUrl: string | undefined
  /** `ALERTMANAGER_PUBLIC_URL`: where people reach Alertmanager; default: the first of `ALERTMANAGER_URLS`. */
  readonly alertmanagerPublicUrl: string | undefined
  /** `INCIDENTS_SHOW_CLIENTS`: whether client addresses and user agents may stand in records and pages; default false. */
  readonly showClients: boolean
  readonly logLevel: string
}

/** Never repeated in a message. */
const SECRETS: ReadonlySet<PropertyKey> = new Set(['opsToken', 'token', 'redisUrl', 'redisSentinelPassword'])

const schema = z.object({
  port: field(wholeNumberText({ atLeast: 0, atMost: 65_535 })).prefault('9095'),
  host: field(parseListenHost).prefault('127.0.0.1'),
  publicUrl: field(parsePublicUrl).optional(),
  prometheusUrl: field(parsePublicUrl).prefault('http://127.0.0.1:9090'),
  alertmanagerUrls: field(parseUrls).prefault('http://127.0.0.1:9093'),
  jaegerUrl: field(parsePublicUrl).optional(),
  tempoUrl: field(parsePublicUrl).optional(),
  opsToken: field(parseBearerToken).optional(),
  opsTokenHosts: field(parseHosts).default([]),
  gatewayJob: z.string().default('myesi-api'),
  token: field(parseBearerToken).optional(),
  redisUrl: field(parseRedisUrl).optional(),
  redisSentinelUsername: z.string().optional(),
  redisSentinelPassword: z.string().optional(),
  redisTlsCaFile: z.string().optional(),
  redisTlsCertFile: z.string().optional(),
  redisTlsKeyFile: z.string().optional(),
  folder: z.string().default('.incidents'),
  grafanaUrl: field(parsePublicUrl).optional(),
  repositoryUrl: field(parsePublicUrl).optional(),
  alertmanagerPublicUrl: field(parsePublicUrl).optional(),
  showClients: field(parseBoolean).prefault('false'),
  logLevel: field(choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {})).prefault('info'),
})

/** Reads them out of the environment; an empty variable counts as unset. Every problem in one go; never throws. */
export function readIncidentSettings(env: Environment): {
  readonly settings: IncidentSettings | undefined
  readonly problems: readonly ConfigProblem[]
} {
  const found = Object.fromEntries(
    Object.entries(INCIDENT_VARIABLES).map(([name, variable]) => [name, env[variable] || undefined]),
  )
  const parsed = schema.safeParse(found)
  const others = [...checkRedisTls(found), ...unknownVariables(env, KNOWN_VARIABLES)]
  if (parsed.success && !hasErrors(others)) {
    const unset = {
      publicUrl: undefined,
      jaegerUrl: undefined,
      tempoUrl: undefined,
      opsToken: undefined,
      token: undefined,
      redisUrl: undefined,
      redisSentinelUsername: undefined,
      redisSentinelPassword: undefined,
      redisTlsCaFile: undefined,
      redisTlsCertFile: undefined,
      redisTlsKeyFile: undefined,
      grafanaUrl: undefined,
      repositoryUrl: undefined,
      alertmanagerPublicUrl: undefined,
    }
    return { settings: Object.freeze({ ...unset, ...parsed.data }), problems: others }
  }
  const issues = parsed.error?.issues ?? []
  return { settings: undefined, problems: [...issues.map(issue => toProblem(issue, env)), ...others] }
}

function toProblem(issue: z.core.$ZodIssue, env: Environment): ConfigProblem {
  const name = issue.path[0] as keyof typeof INCIDENT_VARIABLES
  const where = INCIDENT_VARIABLES[name]
  const subject = SECRETS.has(name) ? 'the value' : quoted(env[where] ?? '')
  if (issue.code !== 'custom') return { where, problem: `${subject} ${issue.message}` }
  const { problem, ...hints } = (issue.params as unknown as IssueParams).mistake
  return { where, problem: `${subject} ${problem}`, ...hints }
}

function parseUrls(found: unknown): Parsed<readonly string[]> {
  const urls: string[] = []
  for (const text of String(found).split(',')) {
    const parsed = parsePublicUrl(text.trim())
    if ('mistake' in parsed) return parsed
    urls.push(parsed.value)
  }
  return new Set(urls).size === urls.length ? { value: urls } : refuse('names the same address twice')
}
