import type { IncomingMessage, ServerResponse } from 'node:http'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'

/** The Prometheus exporter without a port of its own. */
export class PrometheusExposition extends PrometheusExporter {
  constructor() {
    super({ preventServerStart: true })
  }

  override getMetricsRequestHandler(request: IncomingMessage, response: ServerResponse): void {
    super.getMetricsRequestHandler(request, response)
  }
}
