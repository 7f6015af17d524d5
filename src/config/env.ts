import { z } from 'zod'
import type { Environment } from './environment'
import { hasErrors } from './problems'
import { quoted } from './quoted'
import { checkRedisTls } from './redis-tls-check'
import type { ConfigProblem, Settings } from './types'
import { unknownVariables } from './unknown-variables'
import { KNOWN_VARIABLES, VARIABLES } from './variable-names'
import { parseBearerToken } from './values/bearer-token'
import { choice, parseBoolean } from './values/choice'
import { field, type IssueParams } from './values/field'
import { parseHostNames } from './values/host-names'
import { parseListenHost } from './values/listen-host'
import { mistake, refuse, type Mistake, type Parse } from './values/parsed'
import { parsePublicUrl } from './values/public-url'
import { parseRedisUrl } from './values/redis-url'
import { parseWorkers } from './values/workers'
import { wholeNumberText } from './values/whole-number'

export type { Environment }

export interface ReadSettings {
  /** Undefined if a problem is an error; frozen. */
  readonly settings: Settings | undefined
  readonly problems: readonly ConfigProblem[]
}

/** A copy of the current environment of this process; no other code in `src` reads it. */
export function processEnv(): Environment {
  return { ...process.env }
}

/** Settings that may hold passwords; messages never repeat their values. */
const SECRETS: ReadonlySet<keyof Settings> = new Set(['redisUrl', 'redisSentinelPassword', 'metricsToken', 'opsToken'])

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const LOG_LEVELS_MEANT = {
  warning: 'warn',
  critical: 'fatal',
  verbose: 'debug',
  off: 'silent',
  none: 'silent',
} as const

const settingsSchema = z.object({
  port: field(port(wholeNumberText({ atLeast: 0, atMost: 65_535 }))).prefault('8000'),
  host: field(parseListenHost).prefault('0.0.0.0'),
  opsPort: field(port(wholeNumberText({ atLeast: 0, atMost: 65_535 }))).prefault('9464'),
  opsHost: field(parseListenHost).prefault('127.0.0.1'),
  opsPublicUrl: field(parsePublicUrl).optional(),
  incidentsUrl: field(parsePublicUrl).optional(),
  opsToken: field(parseBearerToken).optional(),
  opsAllowedHosts: field(parseHostNames).default([]),
  redisUrl: field(parseRedisUrl).optional(),
  redisSentinelUsername: z.string().optional(),
  redisSentinelPassword: z.string().optional(),
  redisTlsCaFile: z.string().optional(),
  redisTlsCertFile: z.string().optional(),
  redisTlsKeyFile: z.string().optional(),
  redisTimeoutMs: field(wholeNumberText({ atLeast: 5, atMost: 10_000 })).prefault('200'),
  replicas: field(wholeNumberText({ atLeast: 1, atMost: 10_000 })).prefault('1'),
  workers: field(parseWorkers).prefault('1'),
  configFile: z.string().default('gateway.yaml'),
  configWatch: field(parseBoolean).prefault('true'),
  logLevel: field(choice(LOG_LEVELS, LOG_LEVELS_MEANT)).prefault('info'),
  metricsToken: field(parseBearerToken).optional(),
  telemetryRequired: field(parseBoolean).prefault('false'),
  shutdownTimeoutMs: field(wholeNumberText({ atLeast: 0, atMost: 3_600_000 })).prefault('10000'),
  shutdownDelayMs: field(wholeNumberText({ atLeast: 0, atMost: 3_600_000 })).prefault('0'),
})

/**
 * Accepts the `tcp://…` value that Kubernetes sets as `OPS_PORT` for a service named `ops`, with a message that says
 * so.
 */
function port(parse: Parse<number>): Parse<number> {
  return function parsePort(found) {
    if (!/^(?:tcp|udp):\/\//.test(String(found))) return parse(found)
    return refuse(
      'was set by Kubernetes for a service of this name',
      'a port; enableServiceLinks: false in the pod prevents this',
    )
  }
}

/**
 * Reads the process settings from the environment; an empty variable counts as unset. Reports all problems; never
 * throws.
 */
export function readSettings(env: Environment): ReadSettings {
  const settings = Object.keys(VARIABLES) as (keyof Settings)[]
  const found = Object.fromEntries(settings.map(setting => [setting, env[variableOf(setting, env)] || undefined]))
  const parsed = settingsSchema.safeParse(found)
  const problems = [
    ...(parsed.error?.issues ?? []).map(issue => problemOf(issue, env)),
    ...checkPorts(found, env),
    ...checkRedisTls(found),
    ...unknownVariables(env, KNOWN_VARIABLES),
  ]
  if (!parsed.success || hasErrors(problems)) return { settings: undefined, problems }
  const unset = {
    opsPublicUrl: undefined,
    incidentsUrl: undefined,
    opsToken: undefined,
    redisUrl: undefined,
    redisSentinelUsername: undefined,
    redisSentinelPassword: undefined,
    redisTlsCaFile: undefined,
    redisTlsCertFile: undefined,
    redisTlsKeyFile: undefined,
    metricsToken: undefined,
  }
  return { settings: Object.freeze({ ...unset, ...parsed.data }), problems }
}

function checkPorts(found: Readonly<Record<string, string | undefined>>, env: Environment): ConfigProblem[] {
  const { data: port } = settingsSchema.shape.port.safeParse(found.port)
  const { data: opsPort } = settingsSchema.shape.opsPort.safeParse(found.opsPort)
  if (port === undefined || port === 0 || port !== opsPort) return []
  const clash = mistake('is both the port of the gateway and the ops port', 'two ports, or 0 for any free one')
  return [problemWith(found.opsPort === undefined ? 'port' : 'opsPort', clash, env)]
}

function problemOf(issue: z.core.$ZodIssue, env: Environment): ConfigProblem {
  const found = issue.code === 'custom' ? (issue.params as unknown as IssueParams).mistake : mistake(issue.message)
  return problemWith(issue.path[0] as keyof Settings, found, env)
}

function variableOf(setting: keyof Settings, env: Environment): string {
  const names: readonly string[] = VARIABLES[setting]
  return names.find(name => env[name]) ?? names[0] ?? setting
}

function problemWith(setting: keyof Settings, { problem, ...hints }: Mistake, env: Environment): ConfigProblem {
  const where = variableOf(setting, env)
  const subject = SECRETS.has(setting) ? 'the value' : quoted(env[where] ?? '')
  return { where, problem: `${subject} ${problem}`, ...hints }
}
