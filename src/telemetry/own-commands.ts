import { createContextKey } from '@opentelemetry/api'

/**
 * Set in the context in which a connection asks Redis for itself, as in probes: nobody waits for these commands, and they
 * are not measured. `otel/sdk/redis-duration.ts` makes the same key from the same words.
 */
export const OWN_COMMANDS = createContextKey('myesi-gateway: own Redis commands')
