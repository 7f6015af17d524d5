import { isDeepStrictEqual } from 'node:util'
import type { GatewayConfig } from '../config/gateway-config'
import { durationText } from '../config/values/duration'
import { durationBoundaries, latencyThresholds, objectivesIn } from '../slo/objectives'

/** Certificate files are re-read while the process runs; other changes of TLS need a new listener. */
const TLS_NEEDS_RESTART = 'entrypoint.tls has changed: that takes effect with a restart'
const HANDSHAKE_NEEDS_RESTART =
  'entrypoint.headersTimeout has changed: for TLS handshakes that takes effect with a restart'

/** Returns one sentence for each change that takes effect only after a restart. */
export function needingRestart(from: GatewayConfig, to: GatewayConfig): string[] {
  const [made, next] = [from.entrypoint, to.entrypoint]
  const sentences: string[] = []
  if (!isDeepStrictEqual(next.tls, made.tls)) sentences.push(TLS_NEEDS_RESTART)
  else if (made.tls && next.headersTimeoutMs !== made.headersTimeoutMs) sentences.push(HANDSHAKE_NEEDS_RESTART)
  const boundaries = durationBoundaries(objectivesIn(from))
  const missing = latencyThresholds(objectivesIn(to)).filter(threshold => !boundaries.includes(threshold))
  if (missing.length > 0) sentences.push(boundariesNeedRestart(missing))
  return sentences
}

function boundariesNeedRestart(thresholdsS: readonly number[]): string {
  const texts = thresholdsS.map(threshold => durationText(threshold * 1_000))
  return `slo has new latency thresholds (${texts.join(', ')}): the duration is counted by them after a restart`
}
