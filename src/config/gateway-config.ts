import type { z } from 'zod'
import type { POLICIES } from '../policies/registry'
import type { Policy } from '../policies/define-policy'
import type { RouteBase } from '../routing/route'
import type { ConfigFiles } from './config-files'
import type { Frozen } from './frozen'
import type { ConsumerConfig, EntrypointConfig, UpstreamConfig } from './types'

/** The content of `gateway.yaml`, parsed, checked and frozen. */
export interface GatewayConfig {
  /** SHA-256 of the file and of what it includes, hexadecimal. */
  readonly sha256: string
  /** The content of the files that it names. */
  readonly files: ConfigFiles
  readonly entrypoint: EntrypointConfig
  readonly consumers: readonly ConsumerConfig[]
  readonly upstreams: readonly UpstreamConfig[]
  readonly routes: readonly RouteConfig[]
  readonly inherited: {
    readonly routes: InheritedKeys
    readonly upstreams: InheritedKeys
  }
}

/** Where the inherited keys of routes or upstreams come from, by name and key: `policySets.partner (gateway.yaml:12)`. */
export type InheritedKeys = Readonly<Record<string, Readonly<Record<string, string>>>>

type RoutePolicy = Extract<(typeof POLICIES)[number], Policy<string, z.ZodType, unknown, 'route'>>

/** A route: the requests it matches, its upstream, and a key for each policy of the registry. */
export type RouteConfig = RouteBase & {
  readonly [P in RoutePolicy as P['name']]: P extends Policy<string, infer _, infer Config> ? Frozen<Config> : never
}
