import type { z } from 'zod'
import type { ConfigFiles } from '../config/config-files'
import type { entrypointSchema } from '../config/entrypoint-schema'
import type { tokenSchema } from '../config/identity-schema'
import type { ConfigProblem } from '../config/types'
import type { Reason } from '../errors/reasons'
import type { Exchange, LateHooks, Stage } from '../exchange/exchange'
import type { HeaderEdits } from '../exchange/header-edits'
import type { FileSlo } from '../slo/slo-schema'
import type { RedisConnection } from '../redis/connection'
import type { Route } from '../routing/route'
import type { ReuseOrCreate } from '../runtime/resources'
import type { Logger } from '../telemetry/logger'
import type { Forwarding } from '../upstream/forward'
import type { Consumers } from './auth/consumers'
import type { CheckContext } from './check-context'
import type { RateLimiter } from './rate-limit/limit-rate'

/**
 * A policy is one key of a route and everything that belongs to it: schema, checks, hooks, description. `registry.ts` lists
 * all policies in the order in which they run.
 *
 * @typeParam Schema of the value in the file
 * @typeParam Config what the route gets, with what the rest of the file adds to it
 */
export interface Policy<
  Name extends string = string,
  Schema extends z.ZodType = z.ZodType,
  Config = unknown,
  Under extends Place = Place,
> {
  /** The key. */
  readonly name: Name
  /** With `.optional()` or a default: a key that a route may leave out. */
  readonly schema: Schema
  /** Where the key is. */
  readonly under: Under
  /** A route of `docs/gateway.example.yaml` that shows it, as an item of the list of routes; undefined: another one does. */
  readonly example: string | undefined
  /** It answers requests in place of an upstream; a route has one that does, or an upstream. */
  readonly answers: boolean
  /** It has no effect on a route without an upstream. */
  readonly needsUpstream: boolean
  /** `explain` does not run its `onRequest`: that would count, or ask others. */
  readonly hasSideEffects: boolean
  resolve(written: z.output<Schema>, file: FileParts, place: PlaceOfPolicy): Config
  check(written: z.output<Schema> | undefined, context: CheckContext): ConfigProblem[]
  create(config: Defined<Config>, resources: PolicyResources): InternalHooks
  refuses(config: Defined<Config>): readonly Reason[]
  describe(config: Defined<Config>): readonly Line[]
  explain(config: Defined<Config>, exchange: Exchange): string
}

/** `entrypoint`: for every request, before it is routed. */
export type Place = 'route' | 'entrypoint'

/** What somebody writes to define a policy. Everything but name and schema may be left out. */
export interface PolicyDefinition<Name extends string, Schema extends z.ZodType, Config, Under> extends Partial<
  Omit<Policy, 'name' | 'under' | 'schema' | 'resolve' | 'check' | 'create' | 'refuses' | 'describe' | 'explain'>
> {
  readonly name: Name
  readonly schema: Schema
  /** Default: `route`. */
  readonly under?: Under
  /** Adds what the rest of the file says: the entrypoint's lists, the tokens that are named. Default: nothing. */
  resolve?(written: z.output<Schema>, file: FileParts, place: PlaceOfPolicy): Config
  /**
   * What must hold between keys. Called for every route, also where parts of it are wrong.
   *
   * @param written undefined where the key is left out or not understood
   */
  check?(written: z.output<Schema> | undefined, context: CheckContext): ConfigProblem[]
  /** Called once per route and snapshot, where the key has a value. A hook that is left out costs nothing. */
  create?(config: Defined<Config>, resources: PolicyResources): InternalHooks
  /**
   * Why it may refuse requests. These reasons are counted with 0 from the start: `rate()` does not see the first burst of a
   * series that is born with it.
   */
  refuses?(config: Defined<Config>): readonly Reason[]
  /** What `/routes`, `npm run routes` and `explain` say of it. Never a secret. */
  describe?(config: Defined<Config>): readonly Line[]
  /** What `explain` adds to the first line after the policy has seen a request. */
  explain?(config: Defined<Config>, exchange: Exchange): string
}

/**
 * A second place in the order for a policy whose hooks run at two, or, without `of`, a rule that has no key: it applies to
 * every route.
 */
export interface Step<Config = unknown> {
  readonly name: string
  readonly of: Policy<string, z.ZodType, Config> | undefined
  readonly hasSideEffects: boolean
  create(config: Defined<Config>, resources: PolicyResources): InternalHooks
  describe(config: Defined<Config>): readonly Line[]
}

export type Defined<Config> = Exclude<Config, undefined>

/** One line of the registry. */
export type RegistryEntry = Policy | Step

/** What the rest of `gateway.yaml` says that a policy may need. */
export interface FileParts {
  readonly entrypoint: z.output<typeof entrypointSchema>
  readonly tokens: Readonly<Record<string, z.output<typeof tokenSchema>>>
  readonly slo: FileSlo
}

/** What is known of the route that a policy belongs to; of `entrypoint`, that it has no upstream. */
export interface PlaceOfPolicy {
  readonly hasUpstream: boolean
}

/** What hooks are made of, besides the configuration. */
export interface PolicyResources {
  readonly route: Route
  /** Undefined where the gateway itself answers. */
  readonly hasUpstream: boolean
  readonly consumers: Consumers
  /** What the files hold that the configuration names. */
  readonly files: ConfigFiles
  readonly replicas: number
  readonly redis: RedisConnection | undefined
  readonly log: Logger
  readonly reuseOrCreate: ReuseOrCreate
  /** Called when the consumer of an exchange is known. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

type Hook<Phase extends keyof LateHooks> = LateHooks[Phase][number]

/** What a policy does with a request, phase by phase. A function that does not wait returns no promise. */
export interface Hooks {
  /** Before routing. Only for policies under `entrypoint`. */
  readonly onArrival?: Stage | undefined
  /** After routing: lets the request pass, throws a `GatewayError` to refuse it, or answers it and returns `ANSWERED`. */
  readonly onRequest?: Stage | undefined
  /** Before each call to a target. */
  readonly onAttempt?: Hook<'onAttempt'> | undefined
  /** Before the header section of the response is sent. */
  readonly onResponse?: Hook<'onResponse'> | undefined
  /** The body of an upstream's response, as a stream. */
  readonly onBody?: Hook<'onBody'> | undefined
  /** When the response has closed. Observes only. */
  readonly onEnd?: Hook<'onEnd'> | undefined
}

/** What only policies of the gateway itself can do. */
export interface InternalHooks extends Hooks {
  /** In place of `onRequest` when a browser asks whether it may send a request (CORS preflight) and a policy answers that. */
  readonly onPreflight?: Stage | undefined
  /** Answers such a question. */
  readonly answerPreflight?: Stage | undefined
  /** What it changes about calls to the upstream: read once, when the route is made. */
  readonly forwarding?: Partial<Forwarding> | undefined
  readonly requestEdits?: HeaderEdits | undefined
  readonly responseEdits?: HeaderEdits | undefined
  /** Listed by `/offenders`. */
  readonly limiter?: RateLimiter | undefined
}

/** What is said of a route. */
export interface Line {
  /** Where pages and tables show it. */
  readonly about: 'clients' | 'answer' | 'path' | 'size' | 'changes' | 'upgrades' | 'limits' | 'calls' | 'objectives'
  readonly text: string
  /** The subject of its line in `explain`, which then comes at the policy's turn; undefined: with the others, at the end. */
  readonly subject?: string
}

export function definePolicy<
  const Name extends string,
  Schema extends z.ZodType,
  Config = z.output<Schema>,
  const Under extends Place = 'route',
>(definition: PolicyDefinition<Name, Schema, Config, Under>): Policy<Name, Schema, Config, Under> {
  return {
    under: 'route' as Under,
    example: undefined,
    answers: false,
    needsUpstream: false,
    hasSideEffects: false,
    resolve: written => written as Config,
    check: () => [],
    create: () => ({}),
    refuses: () => [],
    describe: () => [],
    explain: () => '',
    ...definition,
  }
}

export function defineStep<Config = unknown>(
  definition: Pick<Step<Config>, 'name' | 'create'> & Partial<Step<Config>>,
): Step<Config> {
  return { of: undefined, hasSideEffects: false, describe: () => [], ...definition }
}

/** A key of a route. */
export function isRoutePolicy(entry: RegistryEntry): entry is Policy {
  return isPolicy(entry) && entry.under === 'route'
}

export function isPolicy(entry: RegistryEntry): entry is Policy {
  return 'schema' in entry
}
