import { join } from 'node:path'

/**
 * Megabytes of each half of V8's young generation that a process keeps. By itself V8 begins with one, gives back what it has
 * whenever little happens, and lets it grow again so slowly that collections come while their requests are still under way:
 * up to a sixth of what a request costs (docs/performance.md).
 */
const YOUNG_GENERATION_MB = 16

/**
 * Node's arguments for the gateway, wherever it is started. Its telemetry comes before everything else, because modules are
 * instrumented while they are loaded.
 *
 * @param dist folder of the built tree
 * @param more of Node's arguments
 */
export function gatewayArguments(dist: string, more: readonly string[] = []): string[] {
  return [
    '--enable-source-maps',
    `--min-semi-space-size=${YOUNG_GENERATION_MB}`,
    '--require',
    join(dist, 'otel/sdk/register.js'),
    ...more,
    join(dist, 'src/main.js'),
  ]
}
