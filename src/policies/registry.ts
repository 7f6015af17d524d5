import { access } from './access/policy'
import { auth } from './auth/policy'
import { cors } from './cors/policy'
import type { RegistryEntry } from './define-policy'
import { host } from './host/policy'
import { loops } from './loops/policy'
import { maintenance } from './maintenance/policy'
import { maxBodySize } from './max-body-size/policy'
import { minUploadRate } from './min-upload-rate/policy'
import { consumerRateLimit, rateLimit } from './rate-limit/policy'
import { rawPath } from './raw-path/policy'
import { redirect } from './redirect/policy'
import { requestHeaders } from './request-headers/policy'
import { respond } from './respond/policy'
import { responseHeaders } from './response-headers/policy'
import { retry } from './retry/policy'
import { rewrite } from './rewrite/policy'
import { semicolons } from './semicolons/policy'
import { slo } from './slo/policy'
import { timeouts } from './timeouts/policy'
import { websocket } from './websocket/policy'

/** All policies of a route, in the order in which they run. */
export const POLICIES = [
  // May the request pass?
  access, //            first: a client that is not let in is not worth a count
  cors, //              before all that could refuse: a page must be able to read why
  maintenance, //       before the limits: what is refused anyway must not use them up
  rateLimit, //         before authentication: guessing keys must cost
  auth, //              after the limits by address, before those that count consumers
  consumerRateLimit, // after authentication: counts identities, not addresses
  loops, //             behind the limits, as the next three: a client that tries again and again is counted
  semicolons,
  websocket,
  maxBodySize,

  // The gateway answers: after everything that could refuse. A route has one of the two, or an upstream.
  redirect,
  respond,

  // What the call to the upstream is like: no order among them.
  rewrite,
  rawPath,
  host,
  requestHeaders,
  responseHeaders,
  retry,
  timeouts,
  minUploadRate,

  // What is promised: no hooks.
  slo,
] as const satisfies readonly RegistryEntry[]

/**
 * The registry with policies that are not part of the gateway: after everything that could refuse, so that they know the
 * consumer and cost refused requests nothing, and before what answers.
 */
export function withOwnPolicies(own: readonly RegistryEntry[]): readonly RegistryEntry[] {
  const answers = POLICIES.findIndex(({ name }) => name === redirect.name)
  return [...POLICIES.slice(0, answers), ...own, ...POLICIES.slice(answers)]
}
