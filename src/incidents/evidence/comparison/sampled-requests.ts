import { z } from 'zod'

const sample = z.object({
  timeMs: z.number(),
  durationMs: z.number(),
  /** Present if the upstream was told to record the trace too. */
  traceId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  routeName: z.string().optional(),
  upstream: z.string().optional(),
  /** Variant of a split. */
  variant: z.string().optional(),
  target: z.string().optional(),
  attempts: z.number(),
  method: z.string(),
  host: z.string().optional(),
  path: z.string(),
  query: z.string(),
  status: z.number(),
  reason: z.string().optional(),
  consumer: z.string().optional(),
  tier: z.string().optional(),
  clientNetwork: z.string(),
  userAgent: z.string(),
  protocol: z.string(),
  tls: z.string(),
  contentType: z.string(),
  requestSize: z.string(),
  responseSize: z.string(),
  headers: z.array(z.string()),
})

const group = z.object({
  startMs: z.number(),
  route: z.string(),
  kind: z.string(),
  seen: z.number(),
  weight: z.number(),
  samples: z.array(sample),
})

/** The response of a gateway to `GET /samples`; comes from another process. */
export const sampleAnswer = z.object({ groups: z.array(group) })

/** A sample, with the release of its target where traces of upstreams tell it. */
export type SampledRequest = z.infer<typeof sample> & { readonly release?: string }
export type SampledGroup = Omit<z.infer<typeof group>, 'samples'> & { readonly samples: readonly SampledRequest[] }

/** The samples of one gateway. */
export interface ReplicaSamples {
  readonly instance: string
  readonly groups: readonly SampledGroup[]
}

/** A compared request whose trace may name the release of its target. */
export interface TracedRequest {
  readonly traceId: string
  readonly target: string
  readonly upstream: string
  readonly timeMs: number
  /** Good requests are chosen apart from failing ones: behind one address they may run different releases. */
  readonly side: 'failing' | 'good' | 'before'
}
