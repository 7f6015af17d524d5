import './require-node'
import { startTelemetry } from './start'
import type { Telemetry } from './telemetry'

/**
 * Preloaded before the program: `node --require ./dist/otel/sdk/register.js dist/src/main.js`. Modules are instrumented
 * while they are loaded, so nothing of `src` may come first; `main.ts` then imports this same module and gets the handle.
 */
export const telemetry: Telemetry = startTelemetry(process.env)
