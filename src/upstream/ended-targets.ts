import { context, ROOT_CONTEXT, type Attributes } from '@opentelemetry/api'
import { ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT } from '../telemetry/semconv'

/** How long the series of a target stay after it left: Prometheus and exporters then have their last values. */
const STAY_MS = 300_000

interface EndedTarget {
  readonly labels: Attributes
  readonly activeCalls: number
}

/** Removes every series that has all of these attributes. */
type Forget = (attributes: Attributes) => void

let forget: Forget | undefined
let stayMs = STAY_MS
/** Targets that left in the last minutes, or that have calls in flight, with the time from which their series can go. */
const ended = new Map<EndedTarget, number>()
let timer: NodeJS.Timeout | undefined

/**
 * Sets the function that removes the series of targets that are gone. Without one they stay, as in a program that embeds
 * the gateway and has telemetry of its own.
 */
export function forgetEndedTargets(by: Forget | undefined, afterMs = STAY_MS): void {
  forget = by
  stayMs = afterMs
}

/**
 * Removes the series of these targets after a while: otherwise the addresses of pods, which change with every deployment,
 * would add series until the process ends.
 *
 * @param isInUse whether an upstream has a target with this address, which then has the same series
 */
export function targetsEnded(targets: readonly EndedTarget[], isInUse: (address: Attributes) => boolean): void {
  if (forget === undefined) return
  const at = performance.now() + stayMs
  for (const target of targets) ended.set(target, at)
  // Outside any trace: this is not caused by the request that was active at a reload.
  timer ??= context.with(ROOT_CONTEXT, () => setInterval(removeEnded, stayMs / 5, isInUse).unref())
}

function removeEnded(isInUse: (address: Attributes) => boolean): void {
  const now = performance.now()
  for (const [target, at] of ended) {
    // A call in flight would record in a new series.
    if (now < at || target.activeCalls > 0) continue
    ended.delete(target)
    const { [ATTR_SERVER_ADDRESS]: address, [ATTR_SERVER_PORT]: port } = target.labels
    const attributes = { [ATTR_SERVER_ADDRESS]: address, [ATTR_SERVER_PORT]: port }
    if (!isInUse(attributes)) forget?.(attributes)
  }
  if (ended.size > 0) return
  clearInterval(timer)
  timer = undefined
}
