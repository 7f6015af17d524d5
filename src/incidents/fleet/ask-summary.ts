import { z } from 'zod'
import { askJson, opsHeaders, type Replica } from '../evidence/trace-sources'
import type { Summary } from './fleet'

/** The response of a gateway to `GET /summary`; comes from another process. */
const answer = z.object({
  status: z.enum(['ok', 'attention', 'not_ready']),
  notReady: z.string().optional(),
  concerns: z.array(z.string()),
  replica: z.object({ version: z.string(), host: z.string(), startedAt: z.coerce.date() }),
  configuration: z.object({
    sha256: z.string(),
    since: z.coerce.date(),
    lastReload: z.object({ time: z.coerce.date(), isRefused: z.boolean(), reason: z.string().optional() }).optional(),
  }),
  limits: z.enum(['memory', 'redis', 'degraded']),
  inFlight: z.number(),
  traffic: z.object({
    perSecond: z.number(),
    lately: z.object({ requests: z.number(), faults: z.number() }),
  }),
  targets: z.object({
    all: z.number(),
    list: z.array(z.object({ upstream: z.string(), target: z.string(), reason: z.string() })),
  }),
  limited: z.array(z.object({ client: z.string(), route: z.string(), policy: z.string(), count: z.number() })),
})

/** Asks a replica for its summary. @throws {Error} with a message for people */
export async function askSummary({ url, token }: Replica, signal: AbortSignal): Promise<Summary> {
  const { answer: found } = await askJson(`${url}/summary`, opsHeaders(token), undefined, signal)
  if (found === undefined) throw new Error('its version has no /summary')
  const parsed = answer.safeParse(found)
  if (!parsed.success) throw new Error('its /summary is of another version')
  const { replica, configuration, traffic, targets, inFlight, ...rest } = parsed.data
  const { requests, faults } = traffic.lately
  const { lastReload } = configuration
  return {
    ...rest,
    version: replica.version,
    host: replica.host,
    startedAtMs: replica.startedAt.getTime(),
    sha256: configuration.sha256,
    configSinceMs: configuration.since.getTime(),
    refusedReload:
      lastReload?.isRefused === true ? { timeMs: lastReload.time.getTime(), reason: lastReload.reason } : undefined,
    load: {
      requestsPerSecond: traffic.perSecond,
      faultShare: requests === 0 ? undefined : faults / requests,
      inFlight,
    },
    requests: { requests, faults },
    targets: targets.all,
    ejected: targets.list,
  }
}

/** Says why an ops port gave no summary. */
export function problemInWords(error: unknown, hasToken: boolean): string {
  if (!(error instanceof Error)) return 'unknown error'
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer in time'
  const status = / answered (40[13])$/.exec(error.message)?.[1]
  if (status !== undefined) {
    return hasToken
      ? `answered ${status}: is OPS_TOKEN right?`
      : `answered ${status}: it needs OPS_TOKEN (OPS_TOKEN_HOSTS)`
  }
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code
  return (code === undefined ? undefined : CODES[code]) ?? code ?? error.message.slice(0, 200)
}

const CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name server does not answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to network',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
}
