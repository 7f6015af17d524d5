import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { redisTarget, type RedisTarget } from '../config/values/redis-url'
import { redisTls, type RedisTlsFiles } from './tls-files'

/** A connection that answers nothing for so long is given up: behind a dead network it would never report its end. */
const FROZEN_CONNECTION_MS = 5_000
const CONNECT_TIMEOUT_MS = 2_000
/** Back within 2 s of Redis' return; jitter, so that replicas do not all come at once. */
const MAX_RECONNECT_DELAY_MS = 1_000
/** How long a sentinel may take to say where the master is, and a node which slots it has. */
const LOOKUP_TIMEOUT_MS = 500
/** How long a cluster may go without being asked who has which slots: a node that died is noticed then at the latest. */
const SLOTS_REFRESH_MS = 2_000

type Options = Omit<RedisOptions, 'replyMapping'>

/** How sentinels are logged in to that ask for it; the URL has the login of the servers that they name. */
export interface SentinelLogin {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** What there is besides the URL to reach Redis with. */
export interface RedisCredentials {
  readonly sentinelLogin?: SentinelLogin | undefined
  readonly tlsFiles?: RedisTlsFiles | undefined
}

export interface RedisClientOptions extends RedisCredentials {
  readonly url: string
  /** How Redis lists the connection. */
  readonly connectionName: string
  /** How long an answer may take; left out, its user has a bound of its own. */
  readonly commandTimeoutMs?: number
}

/** A client for whichever kind of Redis the URL names. Nothing waits in it: what cannot be sent now fails. */
export function createRedisClient(wanted: RedisClientOptions): Redis | Cluster {
  const { url, connectionName, commandTimeoutMs, sentinelLogin, tlsFiles } = wanted
  const target = redisTarget(url)
  const { tls, hosts, username, password, masterName, database } = target
  const tlsOptions = tls ? redisTls(tlsFiles, target.topology === 'cluster' ? hosts.map(({ host }) => host) : []) : {}
  const options: Options = {
    connectionName,
    db: database,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: FROZEN_CONNECTION_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false, // else a reconnect counts requests twice
    // A master that has become a replica does not close its connections; another one may be found behind the name.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsOptions }),
  }
  // Else a request waits for as long as Redis is away.
  const alone: Options = { ...options, enableOfflineQueue: false, retryStrategy: reconnectDelay }
  switch (target.topology) {
    case 'single':
      return new Redis({ ...alone, ...hosts[0] })
    case 'sentinel':
      return new Redis({
        ...alone,
        sentinels: [...hosts],
        ...(masterName !== undefined && { name: masterName }),
        sentinelRetryStrategy: reconnectDelay,
        sentinelCommandTimeout: LOOKUP_TIMEOUT_MS,
        failoverDetector: true, // a master that was replaced may stay reachable
        enableTLSForSentinelMode: tls,
        ...(tls && { sentinelTLS: tlsOptions }),
        ...(sentinelLogin?.username !== undefined && { sentinelUsername: sentinelLogin.username }),
        ...(sentinelLogin?.password !== undefined && { sentinelPassword: sentinelLogin.password }),
      })
    case 'cluster':
      return withFreshSlots(
        new Cluster([...hosts], {
          redisOptions: options,
          // By name, as certificates are for names; ioredis would look the address up first and check that.
          ...(tls && { dnsLookup: (name, callback) => callback(null, name) }),
          enableOfflineQueue: false,
          clusterRetryStrategy: reconnectDelay,
          clusterNodeRetryStrategy: reconnectDelay,
          slotsRefreshTimeout: LOOKUP_TIMEOUT_MS,
          // Nobody waits longer than a moment for an answer: what comes later would only be counted twice.
          maxRedirections: 2,
          retryDelayOnFailover: 50,
          retryDelayOnClusterDown: 50,
        }),
      )
  }
}

/** Not by its option `slotsRefreshInterval`: closed in the midst of asking, it would go on for ever. */
function withFreshSlots(cluster: Cluster): Cluster {
  const refresh = (): void => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }
  const timer = setInterval(refresh, SLOTS_REFRESH_MS).unref()
  cluster.once('end', () => clearInterval(timer))
  return cluster
}

/**
 * Asks one host of the URL over a connection of its own. A cluster keeps to itself why its nodes cannot be reached: of a
 * certificate that is refused it says no more than that the connection is closed.
 *
 * @returns what went wrong; undefined where nothing did
 */
export async function findConnectionError(wanted: RedisClientOptions): Promise<unknown> {
  const { hosts, tls, username, password } = redisTarget(wanted.url)
  const redis = new Redis({
    ...hosts[Math.floor(Math.random() * hosts.length)],
    connectionName: wanted.connectionName,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    lazyConnect: true,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: redisTls(wanted.tlsFiles, []) }),
  })
  let failure: unknown
  redis.on('error', (error: unknown) => (failure ??= error))
  try {
    await redis.connect()
    await redis.ping()
  } catch (error) {
    failure ??= error
  } finally {
    redis.disconnect()
  }
  return failure
}

/**
 * Chooses the database that the URL names; does nothing in a cluster, which has one. ioredis does so too, and where Redis has no
 * such database goes on in database 0.
 *
 * @throws Error in the words of Redis
 */
export async function selectDatabase(redis: Redis | Cluster): Promise<void> {
  if (redis instanceof Cluster) return
  const { db = 0 } = redis.options
  if (db !== 0) await redis.call('SELECT', db)
}

/**
 * Connects anew where ioredis gives up for good: sentinels told of a failover just while it was connecting to the server
 * that they named before.
 */
export function neverGivesUp(redis: Redis | Cluster, isClosed: () => boolean): void {
  redis.on('end', () => {
    const connect = (): void => {
      // A failure is told as an event, and is an end again.
      if (!isClosed()) redis.connect().catch(() => {})
    }
    setTimeout(connect, reconnectDelay(1)).unref()
  })
}

/** For logs: where Redis is, without credentials. */
export function addressOf({ hosts, masterName }: RedisTarget): string {
  const list = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')
  return masterName === undefined ? list : `${list}/${masterName}`
}

function reconnectDelay(attempt: number): number {
  return Math.min(50 * 2 ** attempt, MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2)
}
