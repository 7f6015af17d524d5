import { metrics } from '@opentelemetry/api'
import { METRIC_CONFIG_INFO, METRIC_OPS_INFO, SCOPE_NAME } from '../telemetry/semconv'

/** Says where this replica's ops port is and which configuration is in force; both join on `instance`. */
export function reportInfo(info: { readonly opsUrl: string; readonly configSha256: string }): void {
  const meter = metrics.getMeter(SCOPE_NAME)
  meter
    .createObservableGauge(METRIC_OPS_INFO, { description: 'Where the ops port of this replica is' })
    .addCallback(result => result.observe(1, { url: info.opsUrl }))
  meter
    .createObservableGauge(METRIC_CONFIG_INFO, { description: 'Checksum of the configuration in force' })
    .addCallback(result => result.observe(1, { sha256: info.configSha256 }))
}
