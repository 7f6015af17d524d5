import { metrics, trace, type Meter, type Tracer } from '@opentelemetry/api'
import { VERSION } from '../process/version'
import { SCHEMA_URL, SCOPE_NAME } from './semconv'

/** Returns the meter of the gateway's own instruments. */
export function gatewayMeter(): Meter {
  return metrics.getMeter(SCOPE_NAME, VERSION, { schemaUrl: SCHEMA_URL })
}

/** Returns the tracer of the gateway's own spans. */
export function gatewayTracer(): Tracer {
  return trace.getTracerProvider().getTracer(SCOPE_NAME, VERSION, { schemaUrl: SCHEMA_URL })
}
