import type { RecentRequests, RecordedTraffic } from '../observe/recent/recent-requests'
import type { SampleReader } from '../operations/samples'
import type { OffenderList, TraceReader, TraceSummary, UpstreamState } from '../operations/sources'
import type { RedisState, TelemetryPipeline } from '../operations/status/status'

/** What a page of the ops port needs of each worker. */
export type OpsQuestion =
  | { readonly page: 'status' | 'traces' | 'offenders' | 'upstreams' }
  | { readonly page: 'trace'; readonly traceId: string }
  | { readonly page: 'samples'; readonly query: Parameters<SampleReader['read']>[0] }

/** The part of one worker; only what was asked for. */
export interface OpsAnswer {
  readonly traces?: readonly TraceSummary[]
  readonly otlpJson?: string | undefined
  readonly offenders?: readonly OffenderList[]
  readonly upstreams?: readonly UpstreamState[]
  readonly samples?: ReturnType<SampleReader['read']>
  readonly recent?: RecordedTraffic
  readonly redis?: RedisState | undefined
  readonly pipelines?: readonly TelemetryPipeline[]
  readonly inFlight?: number
}

/** What a worker reads to answer. */
export interface OpsSources {
  readonly traces: TraceReader
  readonly offenders: () => readonly OffenderList[]
  readonly upstreams: () => readonly UpstreamState[]
  readonly samples: SampleReader
  readonly recent: RecentRequests
  readonly redis: () => RedisState | undefined
  readonly pipelines: () => readonly TelemetryPipeline[]
  readonly inFlight: () => number
}

/** More than a worker keeps. */
const ALL_TRACES = 10_000

export function answerOps(sources: OpsSources, question: OpsQuestion): OpsAnswer {
  switch (question.page) {
    case 'traces':
      return { traces: sources.traces.list({}, ALL_TRACES) }
    case 'trace': {
      const { traceId } = question
      return { traces: sources.traces.list({ traceId }, ALL_TRACES), otlpJson: sources.traces.otlpJson(traceId) }
    }
    case 'offenders':
      return { offenders: sources.offenders() }
    case 'upstreams':
      return { upstreams: sources.upstreams() }
    case 'samples':
      return { samples: sources.samples.read(question.query) }
    case 'status':
      return {
        traces: sources.traces.list({ outcome: 'fault' }, ALL_TRACES),
        offenders: sources.offenders(),
        upstreams: sources.upstreams(),
        recent: sources.recent.export(),
        redis: sources.redis(),
        pipelines: sources.pipelines(),
        inFlight: sources.inFlight(),
      }
  }
}
