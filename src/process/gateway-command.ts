import { join } from 'node:path'

/**
 * Minimum size in megabytes of each half of V8's young generation. By default V8 starts with 1 MB, shrinks it when idle, and
 * grows it so slowly that collections run while requests are in flight: up to a sixth of the cost of a request
 * (docs/performance.md).
 */
const YOUNG_GENERATION_MB = 16

/**
 * Returns Node's arguments for the gateway. Telemetry is loaded first, because modules are instrumented while they load.
 *
 * @param dist folder of the built tree
 * @param more further arguments for Node
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
