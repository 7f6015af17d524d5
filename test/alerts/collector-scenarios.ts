import { freePort } from '../support/free-port'
import { newTraceId, sendSpans } from '../support/otlp-send'
import { startCollector } from '../support/start-collector'
import { startUpstream } from '../support/start-upstream'
import type { Scenario } from './scenario'

export interface CollectorBench {
  /** Addresses of the Collectors' own metrics. */
  readonly targets: readonly string[]
  /** One after the other: the second one needs the queue of the first. */
  readonly acts: readonly (readonly Scenario[])[]
}

/** Two Collectors: one whose backend does not run, and one with little memory. */
export async function startCollectorBench(): Promise<CollectorBench> {
  const backendPort = await freePort()
  const env = { TRACES_EXPORTERS: '[otlp_http/vendor]', VENDOR_OTLP_ENDPOINT: `http://127.0.0.1:${backendPort}` }
  const queueing = await startCollector({
    env: { ...env, TAIL_DECISION_WAIT: '1s' },
    // A hundredth of what is shipped, so that a thousand spans fill it.
    overlays: ['exporters::otlp_http/vendor::sending_queue::queue_size: 1000'],
  })
  const small = await startCollector({ env: { ...env, OTELCOL_MEMORY_LIMIT_MIB: '30', OTELCOL_MEMORY_SPIKE_MIB: '5' } })
  const send = (url: string, count: number, everyMs: number) => async () => {
    const one = async (): Promise<void> => {
      const spans = Array.from({ length: count }, () => ({
        traceId: newTraceId(),
        attributes: { note: 'x'.repeat(4_000) },
      }))
      await sendSpans(url, spans).catch(() => undefined)
    }
    await one()
    const timer = setInterval(() => void one(), everyMs)
    return async () => clearInterval(timer)
  }
  return {
    targets: [queueing, small].map(({ selfUrl }) => new URL(selfUrl).host),
    acts: [
      [
        {
          alert: 'CollectorBackendFailing',
          cause: 'the backend of the traces does not run',
          provoke: async () => {
            await sendSpans(queueing.url, [{ traceId: newTraceId() }])
            return async () => void (await startUpstream((_, response) => response.end(), { port: backendPort }))
          },
        },
        {
          alert: 'CollectorRefusing',
          cause: 'more telemetry than the memory limit allows',
          provoke: send(small.url, 500, 400),
        },
      ],
      [
        {
          alert: 'CollectorDropping',
          cause: 'more spans at once than the queue has room for',
          provoke: send(queueing.url, 3_000, 1_000),
        },
      ],
    ],
  }
}
