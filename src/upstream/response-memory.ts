import type { Counter } from '@opentelemetry/api'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { ResponseMemory } from './response-buffer'

/** Shared by the process: the total limit includes responses of retired configurations. */
const memory = new ResponseMemory()
let isObserved = false

/** Returns the memory of buffered responses. Creates its metrics at the first call, when a collector is registered. */
export function observedResponseMemory(): ResponseMemory {
  if (isObserved) return memory
  isObserved = true
  const meter = gatewayMeter()
  meter
    .createObservableGauge(semconv.METRIC_RESPONSE_BUFFER_USAGE, {
      unit: 'By',
      description: 'Response bytes buffered for clients that read slowly',
    })
    .addCallback(result => result.observe(memory.usage))
  const exhausted: Counter = meter.createCounter(semconv.METRIC_RESPONSE_BUFFER_EXHAUSTED, {
    unit: '{response}',
    description: 'Responses whose upstream was paused because the buffer for all responses was full',
  })
  exhausted.add(0)
  memory.onExhausted = () => exhausted.add(1)
  return memory
}
