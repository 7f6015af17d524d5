import type { MatchConfig } from '../config/match-schema'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { ErrorPage } from '../exchange/error-page'
import type { HeaderEdits } from '../exchange/header-edits'

declare const template: unique symbol
/** A route's path template. Branded, so that a raw path can never become a metric label. */
export type RouteTemplate = string & { readonly [template]: true }

/** A matched route, as the rest of the gateway sees it. */
export interface Route {
  readonly name: string
  readonly template: RouteTemplate
  readonly match: MatchConfig
  /** Undefined if the gateway itself answers, and until the variant of a split is chosen. */
  readonly upstreamName: string | undefined
  /** Set once the variant of a split is chosen: from then on, the exchange has a route of its own for the variant. */
  readonly variant?: string | undefined
  /** The configured weight of the variant, and whether it is the one that the others are compared with. */
  readonly share?: { readonly weight: number; readonly isStable: boolean } | undefined
  readonly requestEdits?: HeaderEdits | undefined
  readonly responseEdits?: HeaderEdits | undefined
  /** Page for browsers when the gateway answers with an error; undefined: the entrypoint's. */
  readonly errorPage?: ErrorPage | undefined
  /** How its requests are logged; undefined: as the entrypoint says. */
  readonly accessLog?: AccessLogSettings | undefined
}

/** The part of a route's configuration that belongs to no policy. */
export interface RouteBase {
  readonly name: string
  readonly match: MatchConfig
  readonly upstream: string | undefined
}

export function toRoute({ name, match, upstream }: RouteBase): Route {
  return {
    name,
    template: match.path as RouteTemplate,
    match,
    upstreamName: upstream,
  }
}
