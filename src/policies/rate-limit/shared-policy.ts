import { z } from 'zod'
import type { Frozen } from '../../config/frozen'
import type { ConfigProblem } from '../../config/types'
import { asList, asMap, list } from '../../config/understood'
import { field } from '../../config/values/field'
import { parseName, referenceTo } from '../../config/values/name'
import { mistake } from '../../config/values/parsed'
import type { YamlSource } from '../../config/yaml-source'
import { CheckContext } from '../check-context'
import { definePolicy, defineStep, type FileParts, type PolicyResources } from '../define-policy'
import { createRateLimiter, type RateLimiter } from './limit-rate'
import { variantsOf } from './limited-groups'
import { checkCost, checkTiers, checkTiersOfKey, keyProblem, limitLine } from './policy'
import { PolicyGroup } from './policy-group'
import { countsConsumers } from './rate-limit-key'
import type { RateLimitPolicy } from './schema'

/** Room of the counts in Redis: no route can have this name. */
const SHARED = '@shared'

const schema = z
  .array(field(referenceTo('an entry of "sharedLimits"'), { description: 'Name of a shared limit.', type: 'string' }))
  .max(20)
  .prefault([])
  .meta({
    description:
      'Limits of the section `sharedLimits` that this route counts towards, together with all other routes that name them. [More](rate-limits.md#one-limit-for-several-routes).',
    value: 'list of names',
    examples: [['partner-quota']],
  })

type Written = Frozen<z.output<typeof schema>> | undefined

/** Limits that several routes share, by address and header fields. */
export const sharedLimits = definePolicy({
  name: 'sharedLimits',
  schema,
  hasSideEffects: true,
  resolve: (names, file): readonly RateLimitPolicy[] => names.map(name => policyNamed(name, file)),
  check: (written, context) => checkShared(written, context),
  create(policies, resources) {
    if (policies.length === 0) return {}
    const limiter = limiterOf(policies, resources)
    return { onRequest: limiter.limitAddresses, onResponse: limiter.chargeReported, limiter }
  },
  refuses: policies => (policies.some(({ dryRun }) => !dryRun) ? ['limited'] : []),
  describe: policies => policies.filter(({ key }) => !countsConsumers(key)).map(policy => limitLine(policy, true)),
})

/** Shared limits by consumer or API key, which run after authentication. */
export const consumerSharedLimits = defineStep({
  name: 'consumerSharedLimits',
  of: sharedLimits,
  hasSideEffects: true,
  create: (policies, resources) =>
    policies.length === 0 ? {} : { onRequest: limiterOf(policies, resources).limitConsumers },
  describe: policies => policies.filter(({ key }) => countsConsumers(key)).map(policy => limitLine(policy, true)),
})

function policyNamed(name: string, { sharedLimits }: FileParts): RateLimitPolicy {
  const { window, ...policy } = sharedLimits[name] as FileParts['sharedLimits'][string]
  return { ...policy, name, windowMs: window }
}

/**
 * Returns the limiter of a route, with the counts that all routes share. The counts are requested first and each time, so
 * that they live as long as any route uses them.
 */
function limiterOf(policies: readonly RateLimitPolicy[], resources: PolicyResources): RateLimiter {
  const { route, replicas, redis, reuseOrCreate } = resources
  const counts = new Map<string, PolicyGroup>()
  for (const policy of policies.flatMap(variantsOf)) {
    const group = reuseOrCreate('shared-limit', policy, () => {
      return new PolicyGroup({ routeName: SHARED, policies: [policy], replicas, redis })
    })
    counts.set(JSON.stringify(policy), group)
  }
  return reuseOrCreate('shared-limiter', [route.name, route.template, policies], () => {
    const sharedCounts = ([policy]: readonly RateLimitPolicy[]): PolicyGroup =>
      counts.get(JSON.stringify(policy)) as PolicyGroup
    return createRateLimiter({ route, policies, replicas, redis, sharedCounts })
  })
}

function checkShared(written: Written, context: CheckContext): ConfigProblem[] {
  if (written === undefined) return []
  const known = context.names('sharedLimits')
  const own = namesOfOwn(context.route['rateLimit'])
  return written.flatMap((name, index) => {
    const problem = (found: ReturnType<typeof mistake>): ConfigProblem[] => [context.problem([index], found)]
    if (!known.includes(name)) {
      const allowed = known.length === 0 ? 'the name of an entry of "sharedLimits"' : list(known)
      return problem(mistake('is not among the shared limits of this file', allowed, context.nearest(name, known)))
    }
    if (written.indexOf(name) !== index) return problem(mistake('is here a second time', 'each limit once'))
    if (own.includes(name)) {
      return problem(mistake('is the name of a policy of rateLimit here too', 'a name of its own for each limit'))
    }
    const found = keyProblem(asMap(context.inFile('sharedLimits', name)), context.route['auth'])
    return found === undefined ? [] : problem(found)
  })
}

/** Checks the section `sharedLimits`. */
export function checkSharedLimits(source: YamlSource): ConfigProblem[] {
  const used = new Set(asList(source.valueAt(['routes'])).flatMap(route => asList(asMap(route)['sharedLimits'])))
  return Object.keys(asMap(source.valueAt([SECTION]))).flatMap(name => {
    const context = new CheckContext(source, [SECTION], name)
    const parsed = parseName(name)
    return [
      ...('mistake' in parsed ? [context.problemAtKey([], parsed.mistake)] : []),
      ...checkCost([], context),
      ...checkTiersOfKey([], context),
      ...checkTiers([], context),
      ...(used.has(name)
        ? []
        : [{ ...context.problemAtKey([], { problem: 'is used by no route' }), severity: 'warning' as const }]),
    ]
  })
}

const SECTION = 'sharedLimits'

function namesOfOwn(rateLimit: unknown): unknown[] {
  if (Array.isArray(rateLimit)) return asList(rateLimit).map(policy => asMap(policy)['name'])
  return rateLimit === undefined ? [] : [asMap(rateLimit)['name'] ?? 'default']
}
