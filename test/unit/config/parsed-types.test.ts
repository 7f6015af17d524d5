import assert from 'node:assert/strict'
import type { z } from 'zod'
import type { entrypointSchema } from '../../../src/config/entrypoint-schema'
import type { tokenSchema } from '../../../src/config/identity-schema'
import { PARSED_NAMES, parsedPart, type ParsedPart } from '../../../src/config/parsed-names'
import type {
  AffinityConfig,
  DiscoveryConfig,
  EntrypointConfig,
  EntrypointPolicyKey,
  EntrypointTlsConfig,
  HealthCheckConfig,
  UpstreamConfig,
} from '../../../src/config/types'
import type { upstreamSchema } from '../../../src/config/upstream-schema'

type Entrypoint = z.output<typeof entrypointSchema>
type Upstream = z.output<typeof upstreamSchema>
type Written<Key extends keyof Upstream> = NonNullable<Upstream[Key]>

type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? true
    : { readonly missing: Exclude<A, B> }
  : { readonly tooMany: Exclude<A, B> }
type Names<Part extends keyof typeof PARSED_NAMES> = keyof (typeof PARSED_NAMES)[Part]

/** Does not compile where a schema has a key that its parsed type lacks, or the other way round. */
const SAME_KEYS: {
  readonly entrypoint: Same<
    keyof EntrypointConfig,
    keyof ParsedPart<Omit<Entrypoint, EntrypointPolicyKey>, 'entrypoint'>
  >
  readonly tls: Same<keyof EntrypointTlsConfig, Exclude<keyof NonNullable<Entrypoint['tls']>, 'profile'>>
  readonly upstream: Same<keyof UpstreamConfig, keyof ParsedPart<Omit<Upstream, 'without'>, 'upstream'> | 'name'>
  readonly healthCheck: Same<keyof HealthCheckConfig, keyof ParsedPart<Written<'healthCheck'>, 'healthCheck'>>
  readonly affinity: Same<keyof AffinityConfig, keyof ParsedPart<Written<'affinity'>['cookie'], 'cookie'>>
  readonly discovery: Same<keyof DiscoveryConfig, keyof ParsedPart<Upstream['discovery'], 'discovery'> | 'sources'>
} = { entrypoint: true, tls: true, upstream: true, healthCheck: true, affinity: true, discovery: true }

/** Does not compile where `PARSED_NAMES` names a key that no schema has any more. */
const WRITTEN_NAMES: {
  readonly [Part in keyof typeof PARSED_NAMES]: Names<Part> extends keyof Parts[Part]
    ? true
    : Exclude<Names<Part>, keyof Parts[Part]>
} = {
  entrypoint: true,
  responseBuffer: true,
  overload: true,
  http2: true,
  token: true,
  upstream: true,
  timeouts: true,
  fairness: true,
  discovery: true,
  cookie: true,
  retries: true,
  circuitBreaker: true,
  ejection: true,
  healthCheck: true,
}

interface Parts {
  entrypoint: Entrypoint
  responseBuffer: Entrypoint['responseBuffer']
  overload: Entrypoint['overload']
  http2: Entrypoint['http2']
  token: z.output<typeof tokenSchema>
  upstream: Upstream
  timeouts: Upstream['timeouts']
  fairness: Upstream['fairness']
  discovery: Upstream['discovery']
  cookie: Written<'affinity'>['cookie']
  retries: Written<'retries'>
  circuitBreaker: Written<'circuitBreaker'>
  ejection: Written<'ejection'>
  healthCheck: Written<'healthCheck'>
}

describe('types of the parsed configuration', () => {
  it('have the keys of the schemas: the compiler fails for a key that only one of them has', () => {
    assert.deepEqual(Object.keys(WRITTEN_NAMES), Object.keys(PARSED_NAMES))
    assert.ok(Object.values(SAME_KEYS).every(Boolean))
  })

  it('keep every key of a part, and name those with a unit by it', () => {
    assert.deepEqual(parsedPart({ failures: 5, for: 10_000, conditions: [502] }, 'ejection'), {
      failures: 5,
      openForMs: 10_000,
      on: [502],
    })
  })
})
