import { metrics, trace, type Meter, type Tracer } from '@opentelemetry/api'
import { VERSION } from '../process/version'
import { SCHEMA_URL, SCOPE_NAME } from './semconv'

/** Of everything the gateway measures itself. */
export function gatewayMeter(): Meter {
  return metrics.getMeter(SCOPE_NAME, VERSION, { schemaUrl: SCHEMA_URL })
}

/** Of its spans. */
export function gatewayTracer(): Tracer {
  return trace.getTracerProvider().getTracer(SCOPE_NAME, VERSION, { schemaUrl: SCHEMA_URL })
}
