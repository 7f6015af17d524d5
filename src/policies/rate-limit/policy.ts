import type { ConfigProblem } from '../../config/types'
import { asMap, list, read } from '../../config/understood'
import { durationText } from '../../config/values/duration'
import { mistake, type Mistake } from '../../config/values/parsed'
import type { Path } from '../../config/variables'
import { authSchema } from '../auth/schema'
import { checkCertificates } from '../certificate-checks'
import type { CheckContext } from '../check-context'
import { definePolicy, defineStep, type Line, type PolicyResources } from '../define-policy'
import { createRateLimiter, type RateLimiter } from './limit-rate'
import { countsConsumers } from './rate-limit-key'
import { policySchema, rateLimitSchema, type RateLimitPolicy } from './schema'

/** Rate limits by properties that every client has: address and header fields. */
export const rateLimit = definePolicy({
  name: 'rateLimit',
  schema: rateLimitSchema,
  hasSideEffects: true,
  resolve: (policies): readonly RateLimitPolicy[] => policies ?? [],
  check: (_written, context) => [
    ...checkNames(context),
    ...placesOf(context).flatMap(at => [
      ...checkCost(at, context),
      ...checkKey(at, context),
      ...checkTiers(at, context),
    ]),
  ],
  create(policies, resources) {
    const limiter = limiterOf(policies, resources)
    return { onRequest: limiter.limitAddresses, onResponse: limiter.chargeReported, limiter }
  },
  refuses: policies => (policies.some(({ dryRun }) => !dryRun) ? ['limited'] : []),
  describe: policies => policies.filter(({ key }) => !countsConsumers(key)).map(policy => limitLine(policy)),
})

/** Rate limits by consumer or API key, which run after authentication. */
export const consumerRateLimit = defineStep({
  name: 'consumerRateLimit',
  of: rateLimit,
  hasSideEffects: true,
  create: (policies, resources) => ({ onRequest: limiterOf(policies, resources).limitConsumers }),
  describe: policies => policies.filter(({ key }) => countsConsumers(key)).map(policy => limitLine(policy)),
})

/** Returns the limiter that both positions share. A reload keeps it with its counts. */
function limiterOf(policies: readonly RateLimitPolicy[], resources: PolicyResources): RateLimiter {
  const { route, replicas, redis, reuseOrCreate } = resources
  return reuseOrCreate('limiter', [route.name, route.template, policies], () =>
    createRateLimiter({ route, policies, replicas, redis }),
  )
}

export function limitLine(policy: RateLimitPolicy, isShared = false): Line {
  const { name, limit, tiers, windowMs, key, algorithm, dryRun, onStoreFailure, cost } = policy
  const notes = [
    ...(isShared ? [`shared: ${name}`] : name === 'default' ? [] : [name]),
    ...Object.entries(tiers).map(([tier, tierLimit]) => `${tier} ${tierLimit}`),
    ...(algorithm === 'gcra' ? ['evenly'] : []),
    ...(onStoreFailure === 'local' ? [] : [`${onStoreFailure} without Redis`]),
    ...(cost.responseHeader === undefined ? [] : [`cost from ${cost.responseHeader}`]),
    ...(dryRun ? ['dry run'] : []),
  ]
  const rest = notes.length > 0 ? ` (${notes.join(', ')})` : ''
  return {
    about: 'limits',
    text: `${limit} per ${durationText(windowMs)} by ${key.join(' and ')}${rest}`,
    subject: 'limit',
  }
}

/** Returns the paths of the policies below the key: one policy, or a list. */
function placesOf({ written }: CheckContext): Path[] {
  return Array.isArray(written) ? written.map((_, index) => [index]) : written === undefined ? [] : [[]]
}

function checkNames(context: CheckContext): ConfigProblem[] {
  if (!Array.isArray(context.written)) return []
  const names = context.written.map((policy: unknown) => read(policySchema.shape.name, asMap(policy)['name']))
  return names.flatMap((name, index) => {
    if (name === undefined || names.indexOf(name) === index) return []
    const again = mistake('is the name of an earlier policy of this route', 'a unique name for each policy')
    return [context.problem([index, 'name'], again)]
  })
}

/** Checks that no cost exceeds the limit: such a request would never be allowed. */
export function checkCost(at: Path, context: CheckContext): ConfigProblem[] {
  const policy = asMap(context.valueAt(...at))
  const limit = read(policySchema.shape.limit, policy['limit'])
  const cost = policy['cost'] === undefined ? undefined : read(policySchema.shape.cost, policy['cost'])
  if (limit === undefined || cost === undefined) return []
  const tiers = policy['tiers'] === undefined ? {} : (read(policySchema.shape.tiers, policy['tiers']) ?? {})
  const smallest = Math.min(limit, ...Object.values(tiers))
  if (Math.max(cost.standard, ...Object.values(cost.methods)) <= smallest) return []
  const allowed = smallest === limit ? `at most limit, which is ${limit}` : `at most ${smallest}, the limit of a tier`
  const never = mistake('is more than the limit: such a request would never pass', allowed)
  return [context.problem([...at, 'cost'], never)]
}

/** Returns why a limit cannot count on a route: its key needs credentials that the route does not ask for. */
export function keyProblem(policy: Readonly<Record<string, unknown>>, writtenAuth: unknown): Mistake | undefined {
  const key = policy['key'] === undefined ? ['client'] : read(policySchema.shape.key, policy['key'])
  const auth = read(authSchema, writtenAuth)
  const isAuthUnderstood = auth !== undefined || writtenAuth === undefined
  if (key === undefined || !isAuthUnderstood) return undefined
  if ((key.includes('consumer') || key.includes('api-key')) && auth === undefined) {
    return mistake('needs auth, which this route does not have', 'auth for this route, or another key')
  }
  if (!key.includes('api-key') || auth === undefined || auth.apiKey !== undefined) return undefined
  return mistake('needs auth.apiKey, which this route does not have', 'consumer, or auth.apiKey for this route')
}

/** Checks that keys by consumer, and tiers, are used only on routes with authentication. */
function checkKey(at: Path, context: CheckContext): ConfigProblem[] {
  const policy = asMap(context.valueAt(...at))
  const key = policy['key'] === undefined ? undefined : read(policySchema.shape.key, policy['key'])
  const certificates = key?.includes('certificate') ? checkCertificates(context, [...at, 'key']) : []
  if (certificates.length > 0) return certificates
  const found = keyProblem(policy, context.route['auth'])
  if (found !== undefined) return [context.problem([...at, 'key'], found)]
  return checkTiersOfKey(at, context)
}

/** Checks that a policy with tiers counts consumers: only they have tiers. */
export function checkTiersOfKey(at: Path, context: CheckContext): ConfigProblem[] {
  const policy = asMap(context.valueAt(...at))
  const key = policy['key'] === undefined ? ['client'] : read(policySchema.shape.key, policy['key'])
  if (key === undefined || key.includes('consumer') || key.includes('api-key')) return []
  if (policy['tiers'] === undefined) return []
  const useless = mistake('belong to consumers, and this policy does not count them', 'a key with consumer or api-key')
  return [context.problemAtKey([...at, 'tiers'], useless)]
}

export function checkTiers(at: Path, context: CheckContext): ConfigProblem[] {
  const known = new Set<string>()
  for (const name of context.names('consumers')) {
    const tier = context.inFile('consumers', name, 'tier')
    if (typeof tier === 'string') known.add(tier)
  }
  const allowed = known.size === 0 ? 'tiers that consumers have' : list([...known])
  return Object.keys(asMap(context.valueAt(...at, 'tiers')))
    .filter(tier => !known.has(tier))
    .map(tier => {
      const unknown = mistake('is not the tier of any consumer', allowed, context.nearest(tier, known))
      return context.problemAtKey([...at, 'tiers', tier], unknown)
    })
}
