import { z } from 'zod'
import type { Environment } from './environment'
import { hasErrors } from './problems'
import { quoted } from './quoted'
import { checkRedisTls } from './redis-tls-check'
import type { ConfigProblem, IncidentSettings } from './types'
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

export type { IncidentSettings }

/** Settings whose values are never repeated in a message. */
const SECRETS: ReadonlySet<PropertyKey> = new Set([
  'opsToken',
  'token',
  'changesToken',
  'logsToken',
  'redisUrl',
  'redisSentinelPassword',
])

const schema = z.object({
  port: field(wholeNumberText({ atLeast: 0, atMost: 65_535 })).prefault('9095'),
  host: field(parseListenHost).prefault('127.0.0.1'),
  publicUrl: field(parsePublicUrl).optional(),
  prometheusUrl: field(parsePublicUrl).prefault('http://127.0.0.1:9090'),
  alertmanagerUrls: field(parseUrls).prefault('http://127.0.0.1:9093'),
  jaegerUrl: field(parsePublicUrl).optional(),
  jaegerPublicUrl: field(parsePublicUrl).optional(),
  tempoUrl: field(parsePublicUrl).optional(),
  prometheusHttpConfig: z.string().optional(),
  alertmanagerHttpConfig: z.string().optional(),
  jaegerHttpConfig: z.string().optional(),
  tempoHttpConfig: z.string().optional(),
  logsUrl: field(parsePublicUrl).optional(),
  logsKind: field(choice(['loki', 'opensearch', 'victorialogs'], { elasticsearch: 'opensearch' })).prefault('loki'),
  logsQuery: z.string().optional(),
  logsHttpConfig: z.string().optional(),
  logsToken: field(parseBearerToken).optional(),
  opsLinkUrl: field(parsePublicUrl).optional(),
  opsToken: field(parseBearerToken).optional(),
  opsTokenHosts: field(parseHosts).default([]),
  gatewayJob: z.string().default('myesi-api'),
  token: field(parseBearerToken).optional(),
  changesToken: field(parseBearerToken).optional(),
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
  showConsumers: field(parseBoolean).prefault('false'),
  showHeaders: field(parseFieldNames).prefault(''),
  logLevel: field(choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {})).prefault('info'),
})

/** Reads the settings from the environment; an empty variable counts as unset. Reports all problems; never throws. */
export function readIncidentSettings(env: Environment): {
  readonly settings: IncidentSettings | undefined
  readonly problems: readonly ConfigProblem[]
} {
  const found = Object.fromEntries(
    Object.entries(INCIDENT_VARIABLES).map(([name, variable]) => [name, env[variable] || undefined]),
  )
  const parsed = schema.safeParse(found)
  const others = [...checkRedisTls(found), ...checkLogs(found), ...unknownVariables(env, KNOWN_VARIABLES)]
  if (parsed.success && !hasErrors(others)) {
    const unset = {
      publicUrl: undefined,
      jaegerUrl: undefined,
      jaegerPublicUrl: undefined,
      tempoUrl: undefined,
      prometheusHttpConfig: undefined,
      alertmanagerHttpConfig: undefined,
      jaegerHttpConfig: undefined,
      tempoHttpConfig: undefined,
      logsUrl: undefined,
      logsQuery: undefined,
      logsHttpConfig: undefined,
      logsToken: undefined,
      opsLinkUrl: undefined,
      opsToken: undefined,
      token: undefined,
      changesToken: undefined,
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

/** Two ways to give the same credentials: which of them is meant is not guessed. */
function checkLogs({ logsHttpConfig, logsToken }: Readonly<Record<string, unknown>>): ConfigProblem[] {
  if (logsHttpConfig === undefined || logsToken === undefined) return []
  return [{ where: 'LOGS_TOKEN', problem: 'is set beside LOGS_HTTP_CONFIG: one of them; the file can hold the token' }]
}

function toProblem(issue: z.core.$ZodIssue, env: Environment): ConfigProblem {
  const name = issue.path[0] as keyof typeof INCIDENT_VARIABLES
  const where = INCIDENT_VARIABLES[name]
  const subject = SECRETS.has(name) ? 'the value' : quoted(env[where] ?? '')
  if (issue.code !== 'custom') return { where, problem: `${subject} ${issue.message}` }
  const { problem, ...hints } = (issue.params as unknown as IssueParams).mistake
  return { where, problem: `${subject} ${problem}`, ...hints }
}

/** A header field name, RFC 9110 §5.6.2. */
const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/

function parseFieldNames(found: unknown): Parsed<readonly string[]> {
  const names = String(found)
    .split(',')
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '')
  const wrong = names.find(name => !FIELD_NAME.test(name))
  if (wrong !== undefined)
    return refuse(`names "${wrong}", which is no header field`, 'names of header fields, with commas')
  return { value: names }
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
