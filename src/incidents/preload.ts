/**
 * Gives this process its own service name before the telemetry of the gateway starts in it. Imported before everything else,
 * as what is loaded before the instrumentation stays without it.
 */
process.env['OTEL_SERVICE_NAME'] ??= 'myesi-incidents'
