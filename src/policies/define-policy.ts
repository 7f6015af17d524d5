import type { z } from 'zod'
import type { ConfigFiles } from '../config/config-files'
import type { entrypointSchema } from '../config/entrypoint-schema'
import type { tokenSchema } from '../config/identity-schema'
import type { ConfigProblem, UpstreamConfig } from '../config/types'
import type { Path } from '../config/variables'
import type { ErrorPage } from '../exchange/error-page'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { Reason } from '../errors/reasons'
import type { Exchange, LateHooks, Stage } from '../exchange/exchange'
import type { HeaderEdits } from '../exchange/header-edits'
import type { FileSlo } from '../slo/slo-schema'
import type { RedisConnection } from '../redis/connection'
import type { Route } from '../routing/route'
import type { ReuseOrCreate } from '../runtime/resources'
import type { Logger } from '../telemetry/logger'
import type { Forwarding } from '../upstream/forward'
import type { MirrorConfig } from '../upstream/mirror'
import type { CallAside } from '../upstream/side-call'
import type { Upstream } from '../upstream/upstream'
import type { Consumers } from './auth/consumers'
import type { CheckContext } from './check-context'
import type { RateLimiter } from './rate-limit/limit-rate'
import type { sharedLimitSchema } from './rate-limit/schema'
import type { ChooseVariant } from './split/choose-variant'

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
  /** Has `.optional()` or a default if a route may omit the key. */
  readonly schema: Schema
  /** Place of the key in the file. */
  readonly under: Under
  /** Route for `docs/gateway.example.yaml` that shows the policy, as a list item; undefined if another route shows it. */
  readonly example: string | undefined
  /** Whether it answers requests instead of an upstream. A route has one such policy or an upstream. */
  readonly answers: boolean
  /** Whether it chooses among several upstreams. A route has one such policy, one that answers, or an upstream. */
  readonly choosesUpstream: boolean
  /** Whether it has no effect on a route without an upstream. */
  readonly needsUpstream: boolean
  /** Whether `explain` must not run its `onRequest`, because that would count or call other services. */
  readonly hasSideEffects: boolean
  upstreams(written: Defined<z.output<Schema>>): readonly UpstreamReference[]
  resolve(written: z.output<Schema>, file: FileParts, place: PlaceOfPolicy): Config
  check(written: z.output<Schema> | undefined, context: CheckContext): ConfigProblem[]
  create(config: Defined<Config>, resources: PolicyResources): InternalHooks
  refuses(config: Defined<Config>): readonly Reason[]
  describe(config: Defined<Config>): readonly Line[]
  explain(config: Defined<Config>, exchange: Exchange): string
}

/** `entrypoint`: for every request, before it is routed. */
export type Place = 'route' | 'entrypoint'

/** Definition of a policy. Everything but name and schema is optional. */
export interface PolicyDefinition<Name extends string, Schema extends z.ZodType, Config, Under> extends Partial<
  Omit<
    Policy,
    'name' | 'under' | 'schema' | 'upstreams' | 'resolve' | 'check' | 'create' | 'refuses' | 'describe' | 'explain'
  >
> {
  readonly name: Name
  readonly schema: Schema
  /** Default: `route`. */
  readonly under?: Under
  /** Returns the upstreams that the value names, besides the route's own. They are checked. */
  upstreams?(written: Defined<z.output<Schema>>): readonly UpstreamReference[]
  /** Adds values from the rest of the file, such as the entrypoint's lists or the named tokens. Default: none. */
  resolve?(written: z.output<Schema>, file: FileParts, place: PlaceOfPolicy): Config
  /**
   * Checks rules between keys. Called for every route, even if parts of it are invalid.
   *
   * @param written undefined if the key is missing or invalid
   */
  check?(written: z.output<Schema> | undefined, context: CheckContext): ConfigProblem[]
  /** Creates the hooks. Called once per route and snapshot if the key has a value. An omitted hook costs nothing. */
  create?(config: Defined<Config>, resources: PolicyResources): InternalHooks
  /**
   * Returns the reasons for which it may refuse requests. Their series start with 0: otherwise `rate()` would miss the first
   * burst.
   */
  refuses?(config: Defined<Config>): readonly Reason[]
  /** Describes the policy for `/routes`, `npm run routes` and `explain`. Never contains secrets. */
  describe?(config: Defined<Config>): readonly Line[]
  /** Returns text that `explain` adds to the first line after the policy has handled a request. */
  explain?(config: Defined<Config>, exchange: Exchange): string
}

/**
 * An entry of the registry that is not a key: the second position of a policy whose hooks run at two, or, without `of`, a
 * rule for every route.
 */
export interface Step<Config = unknown> {
  readonly name: string
  readonly of: Policy<string, z.ZodType, Config> | undefined
  readonly hasSideEffects: boolean
  create(config: Defined<Config>, resources: PolicyResources): InternalHooks
  describe(config: Defined<Config>): readonly Line[]
}

export type Defined<Config> = Exclude<Config, undefined>

/** One entry of the registry. */
export type RegistryEntry = Policy | Step

/** Parts of `gateway.yaml` outside the route that a policy may need. */
export interface FileParts {
  readonly entrypoint: z.output<typeof entrypointSchema>
  readonly tokens: Readonly<Record<string, z.output<typeof tokenSchema>>>
  readonly sharedLimits: Readonly<Record<string, z.output<typeof sharedLimitSchema>>>
  readonly slo: FileSlo
  /** Returns the upstream, with the defaults, of one target that a policy names by URL. */
  readonly upstreamAt: (name: string, origin: string) => UpstreamConfig
}

/** An upstream that a policy names. */
export interface UpstreamReference {
  readonly name: string
  /** Where it is named, below the key of the policy. */
  readonly at: Path
}

/** The place of a policy: its route, or `entrypoint`, which has no upstream. */
export interface PlaceOfPolicy {
  readonly hasUpstream: boolean
}

/** Inputs of hooks besides the configuration. */
export interface PolicyResources {
  readonly route: Route
  /** False if the gateway itself answers. */
  readonly hasUpstream: boolean
  readonly consumers: Consumers
  /** Contents of the files that the configuration names. */
  readonly files: ConfigFiles
  readonly replicas: number
  readonly redis: RedisConnection | undefined
  readonly log: Logger
  readonly reuseOrCreate: ReuseOrCreate
  /** Returns an upstream of the file by its name, or one that a policy names by URL. */
  readonly findUpstream: (named: string | UpstreamConfig) => Upstream
  /** Makes a small GET to an upstream before the request is forwarded. */
  readonly callAside: CallAside
  /** Whether the route forwards paths exactly as received. */
  readonly forwardsRawPath: boolean
  /** Called when the consumer of an exchange is known. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

type Hook<Phase extends keyof LateHooks> = LateHooks[Phase][number]

/** Hooks of a policy, one per phase of a request. A hook that does not wait returns no promise. */
export interface Hooks {
  /** Before routing. Only for policies under `entrypoint`. */
  readonly onArrival?: Stage | undefined
  /** After routing: lets the request pass, throws a `GatewayError` to refuse it, or answers it and returns `ANSWERED`. */
  readonly onRequest?: Stage | undefined
  /** Before each call to a target. */
  readonly onAttempt?: Hook<'onAttempt'> | undefined
  /** Before the header section of the response is sent. */
  readonly onResponse?: Hook<'onResponse'> | undefined
  /** Transforms the body of an upstream's response as a stream. */
  readonly onBody?: Hook<'onBody'> | undefined
  /** When the response has closed. Observes only. */
  readonly onEnd?: Hook<'onEnd'> | undefined
}

/** Hooks that are available only to the gateway's own policies. */
export interface InternalHooks extends Hooks {
  /** Runs instead of `onRequest` for a CORS preflight that a policy answers. */
  readonly onPreflight?: Stage | undefined
  /** Answers a CORS preflight. */
  readonly answerPreflight?: Stage | undefined
  /** Changes to upstream calls. Read once, when the route is built. */
  readonly forwarding?: Partial<Forwarding> | undefined
  /** Chooses the variant of a request, on routes whose policy `choosesUpstream`. */
  readonly chooseVariant?: ChooseVariant | undefined
  /** Sends copies of forwarded requests to another upstream. */
  readonly mirror?: MirrorConfig | undefined
  readonly requestEdits?: HeaderEdits | undefined
  readonly responseEdits?: HeaderEdits | undefined
  readonly errorPage?: ErrorPage | undefined
  readonly accessLog?: AccessLogSettings | undefined
  /** Listed by `/offenders`. */
  readonly limiter?: RateLimiter | undefined
}

/** One line of a route's description. */
export interface Line {
  /** Column in pages and tables. */
  readonly about:
    | 'clients'
    | 'answer'
    | 'path'
    | 'size'
    | 'changes'
    | 'upgrades'
    | 'limits'
    | 'calls'
    | 'objectives'
    | 'sampling'
    | 'log'
  readonly text: string
  /** Subject of its line in `explain`, shown in the policy's position; undefined: shown with the others at the end. */
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
    choosesUpstream: false,
    needsUpstream: false,
    hasSideEffects: false,
    upstreams: namesNone,
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

/** `upstreams` of a policy that names none. */
export function namesNone(): readonly UpstreamReference[] {
  return []
}

/** Returns whether an entry is a policy under `route`. */
export function isRoutePolicy(entry: RegistryEntry): entry is Policy {
  return isPolicy(entry) && entry.under === 'route'
}

export function isPolicy(entry: RegistryEntry): entry is Policy {
  return 'schema' in entry
}
