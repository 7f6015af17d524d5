import { createContextKey } from '@opentelemetry/api'

/**
 * Context key that marks the gateway's own Redis commands, such as probes. No request waits for these commands, so they
 * are not measured. `otel/sdk/redis-duration.ts` creates the same key from the same text.
 */
export const OWN_COMMANDS = createContextKey('myesi-gateway: own Redis commands')
