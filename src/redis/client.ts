import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { redisTarget, type RedisTarget } from '../config/values/redis-url'
import { redisTls, type RedisTlsFiles } from './tls-files'

/** How long a connection may stay silent before it is closed. Behind a dead network it would never report its end. */
const FROZEN_CONNECTION_MS = 5_000
const CONNECT_TIMEOUT_MS = 2_000
/** Reconnects within 2 s of Redis' return, with jitter so that replicas do not all reconnect at once. */
const MAX_RECONNECT_DELAY_MS = 1_000
/** Timeout for asking a sentinel for the master, and a node for its slots. */
const LOOKUP_TIMEOUT_MS = 500
/** Interval at which the slots of a cluster are refreshed, so that a dead node is detected at the latest then. */
const SLOTS_REFRESH_MS = 2_000

type Options = Omit<RedisOptions, 'replyMapping'>

/** Login for the sentinels. The URL contains the login for the servers that they name. */
export interface SentinelLogin {
  readonly username: string | undefined
  readonly password: string | undefined
}

/** Credentials for Redis in addition to the URL. */
export interface RedisCredentials {
  readonly sentinelLogin?: SentinelLogin | undefined
  readonly tlsFiles?: RedisTlsFiles | undefined
}

export interface RedisClientOptions extends RedisCredentials {
  readonly url: string
  /** Name of the connection in Redis' client list. */
  readonly connectionName: string
  /** How long a reply may take; omitted if the caller has its own timeout. */
  readonly commandTimeoutMs?: number
}

/**
 * Creates a client for the kind of Redis in the URL. Commands that cannot be sent immediately fail; none are queued.
 */
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
    autoResendUnfulfilledCommands: false, // resending would count requests twice
    // A master that became a replica keeps its connections open; reconnecting may find the new master under its name.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsOptions }),
  }
  // Without an offline queue, requests do not wait for an unreachable Redis.
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
        failoverDetector: true, // a replaced master may stay reachable
        enableTLSForSentinelMode: tls,
        ...(tls && { sentinelTLS: tlsOptions }),
        ...(sentinelLogin?.username !== undefined && { sentinelUsername: sentinelLogin.username }),
        ...(sentinelLogin?.password !== undefined && { sentinelPassword: sentinelLogin.password }),
      })
    case 'cluster':
      return withFreshSlots(
        new Cluster([...hosts], {
          redisOptions: options,
          // Certificates are checked against names; ioredis would resolve the name first and check the address.
          ...(tls && { dnsLookup: (name, callback) => callback(null, name) }),
          enableOfflineQueue: false,
          clusterRetryStrategy: reconnectDelay,
          clusterNodeRetryStrategy: reconnectDelay,
          slotsRefreshTimeout: LOOKUP_TIMEOUT_MS,
          // Requests wait only briefly for a reply; a later one would only be counted twice.
          maxRedirections: 2,
          retryDelayOnFailover: 50,
          retryDelayOnClusterDown: 50,
        }),
      )
  }
}

/**
 * Refreshes slots without ioredis' option `slotsRefreshInterval`, which never stops if it is closed during a refresh.
 */
function withFreshSlots(cluster: Cluster): Cluster {
  const refresh = (): void => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }
  const timer = setInterval(refresh, SLOTS_REFRESH_MS).unref()
  cluster.once('end', () => clearInterval(timer))
  return cluster
}

/**
 * Connects to one host of the URL to find the cause of a failure. A cluster client does not report why its nodes cannot
 * be reached: for a rejected certificate, it only says that the connection is closed.
 *
 * @returns the error; undefined if the connection succeeded
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
 * Selects the database in the URL; does nothing in a cluster, which has only one. ioredis selects it as well, but
 * continues in database 0 if it does not exist.
 *
 * @throws Error with the message of Redis
 */
export async function selectDatabase(redis: Redis | Cluster): Promise<void> {
  if (redis instanceof Cluster) return
  const { db = 0 } = redis.options
  if (db !== 0) await redis.call('SELECT', db)
}

/**
 * Reconnects when ioredis gives up permanently: sentinels reported a failover while it was connecting to the previous
 * master.
 */
export function neverGivesUp(redis: Redis | Cluster, isClosed: () => boolean): void {
  redis.on('end', () => {
    const connect = (): void => {
      // A failure is reported as an event and causes another 'end'.
      if (!isClosed()) redis.connect().catch(() => {})
    }
    setTimeout(connect, reconnectDelay(1)).unref()
  })
}

/** Returns the address of Redis for logs, without credentials. */
export function addressOf({ hosts, masterName }: RedisTarget): string {
  const list = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')
  return masterName === undefined ? list : `${list}/${masterName}`
}

function reconnectDelay(attempt: number): number {
  return Math.min(50 * 2 ** attempt, MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2)
}
