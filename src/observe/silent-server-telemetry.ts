import { ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import type { ServerTelemetry } from './server-telemetry'

/** Records nothing. Used with telemetry off. */
export class SilentServerTelemetry implements ServerTelemetry {
  begin(): Context {
    return ROOT_CONTEXT
  }

  matched(): void {}
  varied(): void {}
  streaming(): void {}
  authenticated(): void {}
  concluded(): void {}
  end(): void {}
}
