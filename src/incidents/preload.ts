/**
 * Sets this process's own service name before the gateway's telemetry starts in it. Must be imported first: modules
 * that are loaded before the instrumentation are not instrumented.
 */
process.env['OTEL_SERVICE_NAME'] ??= 'myesi-incidents'
