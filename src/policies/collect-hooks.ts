import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { ErrorPage } from '../exchange/error-page'
import type { Reason } from '../errors/reasons'
import type { LateHooks, Stage } from '../exchange/exchange'
import type { HeaderEdits } from '../exchange/header-edits'
import type { Forwarding } from '../upstream/forward'
import type { MirrorConfig } from '../upstream/mirror'
import { isPolicy, type InternalHooks, type Line, type PolicyResources, type RegistryEntry } from './define-policy'
import type { RateLimiter } from './rate-limit/limit-rate'
import type { ChooseVariant } from './split/choose-variant'

/** Values of a route's keys, by policy. */
export type PolicyConfigs = object

/** All hooks of one route, phase by phase, in the order of the registry. Made once, when the snapshot is built. */
export interface RouteHooks {
  /** Before routing; only policies under `entrypoint` have any. */
  readonly arrivalStages: readonly Stage[]
  readonly stages: readonly Stage[]
  /** Stages for CORS preflights; undefined if they are forwarded to the upstream. */
  readonly preflight: readonly Stage[] | undefined
  readonly hooks: LateHooks | undefined
  readonly forwarding: Partial<Forwarding>
  readonly chooseVariant: ChooseVariant | undefined
  readonly mirror: MirrorConfig | undefined
  readonly requestEdits: HeaderEdits | undefined
  readonly responseEdits: HeaderEdits | undefined
  readonly errorPage: ErrorPage | undefined
  readonly accessLog: AccessLogSettings | undefined
  readonly limiters: readonly RateLimiter[]
  readonly refusals: readonly Reason[]
}

export function collectHooks(
  entries: readonly RegistryEntry[],
  configs: PolicyConfigs,
  resources: PolicyResources,
): RouteHooks {
  const all = entries.flatMap(entry => hooksOf(entry, configs, resources) ?? [])
  const answerPreflight = all.find(hooks => hooks.answerPreflight)?.answerPreflight
  return {
    arrivalStages: present(all.map(({ onArrival }) => onArrival)),
    stages: present(all.map(({ onRequest }) => onRequest)),
    preflight: answerPreflight && [...present(all.map(({ onPreflight }) => onPreflight)), answerPreflight],
    hooks: lateHooks(all),
    forwarding: Object.assign({}, ...all.map(({ forwarding }) => forwarding)) as Partial<Forwarding>,
    chooseVariant: all.find(hooks => hooks.chooseVariant)?.chooseVariant,
    mirror: all.find(hooks => hooks.mirror)?.mirror,
    requestEdits: all.find(hooks => hooks.requestEdits)?.requestEdits,
    responseEdits: all.find(hooks => hooks.responseEdits)?.responseEdits,
    accessLog: all.find(hooks => hooks.accessLog)?.accessLog,
    errorPage: all.find(hooks => hooks.errorPage)?.errorPage,
    limiters: present(all.map(({ limiter }) => limiter)),
    refusals: refusalsOf(entries, configs),
  }
}

/** Creates the hooks of a policy; undefined if the route does not have it. */
function hooksOf(entry: RegistryEntry, configs: PolicyConfigs, resources: PolicyResources): InternalHooks | undefined {
  const config = configOf(entry, configs)
  return config === undefined ? undefined : entry.create(config.value, resources)
}

/** Returns the configuration of a policy or step; undefined if the route does not have it. */
export function configOf(entry: RegistryEntry, configs: PolicyConfigs): { readonly value: unknown } | undefined {
  const key = 'of' in entry ? entry.of?.name : entry.name
  if (key === undefined) return { value: undefined } // a step without a key
  const value = (configs as Readonly<Record<string, unknown>>)[key]
  return value === undefined ? undefined : { value }
}

/** Returns the reasons for which a route's policies may refuse requests, each once. */
export function refusalsOf(entries: readonly RegistryEntry[], configs: PolicyConfigs): Reason[] {
  const all = entries.filter(isPolicy).flatMap(policy => {
    const config = configOf(policy, configs)
    return config === undefined ? [] : policy.refuses(config.value)
  })
  return [...new Set(all)]
}

/** Returns the description of a route by its policies, in the order of the registry. */
export function linesOf(entries: readonly RegistryEntry[], configs: PolicyConfigs): Line[] {
  return entries.flatMap(entry => {
    const config = configOf(entry, configs)
    return config === undefined ? [] : entry.describe(config.value)
  })
}

/** Collects late hooks; undefined if there are none, so that a request pays only a comparison. */
function lateHooks(all: readonly InternalHooks[]): LateHooks | undefined {
  const late: LateHooks = {
    onAttempt: present(all.map(({ onAttempt }) => onAttempt)),
    onResponse: present(all.map(({ onResponse }) => onResponse)),
    onBody: present(all.map(({ onBody }) => onBody)),
    onEnd: present(all.map(({ onEnd }) => onEnd)),
  }
  return Object.values(late).some(hooks => hooks.length > 0) ? late : undefined
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter(value => value !== undefined)
}
