import { access } from './access/policy'
import { accessLog } from './access-log/policy'
import { auth, externalAuth } from './auth/policy'
import { cors } from './cors/policy'
import type { RegistryEntry } from './define-policy'
import { errorPage } from './error-page/policy'
import { grpc } from './grpc/policy'
import { grpcWeb } from './grpc-web/policy'
import { host } from './host/policy'
import { loops } from './loops/policy'
import { maintenance } from './maintenance/policy'
import { express } from './own/express'
import { maxBodySize } from './max-body-size/policy'
import { minUploadRate } from './min-upload-rate/policy'
import { consumerRateLimit, rateLimit } from './rate-limit/policy'
import { mirror } from './mirror/policy'
import { consumerSharedLimits, sharedLimits } from './rate-limit/shared-policy'
import { rawPath } from './raw-path/policy'
import { redirect } from './redirect/policy'
import { requestHeaders } from './request-headers/policy'
import { respond } from './respond/policy'
import { responseHeaders } from './response-headers/policy'
import { retry } from './retry/policy'
import { rewrite } from './rewrite/policy'
import { semicolons } from './semicolons/policy'
import { slo } from './slo/policy'
import { split } from './split/policy'
import { telemetry } from './telemetry/policy'
import { timeouts } from './timeouts/policy'
import { websocket } from './websocket/policy'

/** All policies of a route, in the order in which they run. */
export const POLICIES = [
  telemetry, //         first: it decides whether the trace is sampled, before anything passes the decision on

  // May the request pass?
  grpcWeb, //           before all others, so that its clients understand their refusals
  access, //            before the others: a denied client must not use up limits
  cors, //              before everything that may refuse, so that pages can read refusals
  maintenance, //       before the limits: refused requests must not use them up
  rateLimit, //         before authentication, to limit guessing of keys
  sharedLimits, //      after those of the route, which are usually smaller
  auth, //              after the limits by address, before those that count consumers
  externalAuth, //      with the consumer, and before its limits: it may name the consumer itself
  consumerRateLimit, // after authentication: counts identities, not addresses
  consumerSharedLimits,
  loops, //             after the limits, like the next three, so that repeated attempts are counted
  semicolons,
  websocket,
  grpc,
  maxBodySize,

  express, //           after everything that may refuse, before everything that answers

  // Local replies, after everything that may refuse. A route has one of the two, a split, or an upstream.
  redirect,
  respond,

  // Which upstream is called, instead of the route's one.
  split,

  // Changes to the upstream call; their order does not matter.
  rewrite,
  rawPath,
  host,
  requestHeaders,
  responseHeaders,
  retry,
  timeouts,
  minUploadRate,
  errorPage,
  accessLog,
  mirror,

  // Objectives, without hooks.
  slo,
] as const satisfies readonly RegistryEntry[]

/**
 * Returns the registry with custom policies inserted after everything that may refuse, so that they know the consumer and
 * do not run for refused requests, and before policies that answer.
 */
export function withOwnPolicies(own: readonly RegistryEntry[]): readonly RegistryEntry[] {
  const answers = POLICIES.findIndex(({ name }) => name === express.name)
  return [...POLICIES.slice(0, answers), ...own, ...POLICIES.slice(answers)]
}
