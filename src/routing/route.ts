import type { RouteConfig } from '../config/types'
import { toHeaderEdits, type HeaderEdits } from '../exchange/header-edits'

declare const template: unique symbol
/** A route's path template. Branded, so that a raw path can never become a metric label. */
export type RouteTemplate = string & { readonly [template]: true }

/** What the rest of the gateway needs to know of the route a request matched. */
export interface Route {
  readonly name: string
  readonly template: RouteTemplate
  /** Undefined where the gateway itself answers. */
  readonly upstreamName: string | undefined
  readonly requestEdits: HeaderEdits | undefined
  readonly responseEdits: HeaderEdits | undefined
  readonly config: RouteConfig
}

export function toRoute(config: RouteConfig): Route {
  return {
    name: config.name,
    template: config.match.path as RouteTemplate,
    upstreamName: config.upstream,
    requestEdits: toHeaderEdits(config.requestHeaders),
    responseEdits: toHeaderEdits(config.responseHeaders),
    config,
  }
}
