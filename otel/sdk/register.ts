import './require-node'
import './compile-cache'
import { startTelemetry } from './start'
import type { Telemetry } from './telemetry'

/**
 * Starts the telemetry; preloaded before the program: `node --require ./dist/otel/sdk/register.js dist/src/main.js`.
 * Modules are instrumented while they are loaded, so no module of `src` may load first; `main.ts` then imports this
 * module and gets the handle.
 */
export const telemetry: Telemetry = startTelemetry(process.env)
