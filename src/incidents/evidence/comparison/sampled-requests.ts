import { z } from 'zod'

const sample = z.object({
  timeMs: z.number(),
  durationMs: z.number(),
  routeName: z.string().optional(),
  upstream: z.string().optional(),
  /** Variant of a split. */
  variant: z.string().optional(),
  /** `service.version` of the service that answered, if its trace has it. */
  release: z.string().optional(),
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

export type SampledRequest = z.infer<typeof sample>
export type SampledGroup = z.infer<typeof group>

/** The samples of one gateway. */
export interface ReplicaSamples {
  readonly instance: string
  readonly groups: readonly SampledGroup[]
}
