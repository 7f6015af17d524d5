import { isRoutePolicy } from '../../src/policies/define-policy'
import { POLICIES } from '../../src/policies/registry'
import type { RateLimitPolicy } from '../../src/policies/rate-limit/schema'
import type { RouteConfig } from '../../src/config/gateway-config'

type PolicyConfigs = Omit<RouteConfig, 'name' | 'match' | 'upstream'>

/** A policy that a file does not mention is not configured, unless it has a default. */
export const WITHOUT_POLICIES = Object.fromEntries(
  POLICIES.filter(isRoutePolicy).map(({ name }) => [name, undefined]),
) as unknown as PolicyConfigs

/** What a route is whose file says only which requests are its own and where they go. */
export const ROUTE_DEFAULTS: PolicyConfigs = {
  ...WITHOUT_POLICIES,
  auth: undefined,
  redirect: undefined,
  respond: undefined,
  maintenance: undefined,
  rewrite: { stripPrefix: undefined, addPrefix: undefined },
  requestHeaders: undefined,
  responseHeaders: undefined,
  timeouts: {},
  grpcWeb: false,
  retry: 'idempotent',
  access: [],
  cors: undefined,
  maxBodySize: undefined,
  minUploadRate: 100,
  websocket: { idleTimeoutMs: 300_000 },
  rateLimit: [],
  sharedLimits: [],
  slo: undefined,
  rawPath: false,
  semicolons: 'allow',
}

/** What a policy is whose file says only how many and in which time. */
export const LIMIT_DEFAULTS: Omit<RateLimitPolicy, 'name' | 'limit' | 'windowMs'> = {
  tiers: {},
  algorithm: 'fixed-window',
  key: ['client'],
  cost: { standard: 1, methods: {} },
  bypass: [],
  dryRun: false,
  legacyHeaders: false,
  offenders: 'hashed',
  onStoreFailure: 'local',
}
