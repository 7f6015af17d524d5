import { readdirSync } from 'node:fs'
import type { GatewayConfig } from '../config/gateway-config'
import type { UpstreamConfig } from '../config/types'

/** Descriptors reserved for the ops port, Redis, exporters, health checks, DNS and files. */
const RESERVE = 16

/** Limit of open descriptors of this process: files, listeners and connections. */
export interface DescriptorLimit {
  /** `ulimit -n`; Infinity if unlimited. Node raises the soft limit to the hard one at start. */
  readonly limit: number
  /** Descriptors open before the first request. */
  readonly inUse: number
}

/** Reads the descriptor limit; undefined on systems without one, such as Windows. */
export function readDescriptorLimit(): DescriptorLimit | undefined {
  try {
    // Node's types do not declare `excludeNetwork`.
    const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean }
    const { excludeNetwork } = report
    report.excludeNetwork = true // it would look names up
    const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
    report.excludeNetwork = excludeNetwork
    const soft = userLimits?.open_files?.soft
    if (soft === undefined) return undefined
    return {
      limit: soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft,
      inUse: readdirSync('/dev/fd').length,
    }
  } catch {
    return undefined
  }
}

/** Number of client connections that fit, with advice if it is fewer than configured. */
export interface ConnectionBound {
  readonly maxConnections: number
  /** At most 90 % of them, as where all fit: one client must not take all that are left. */
  readonly maxConnectionsPerClient: number
  /** One sentence; undefined if all fit. */
  readonly shortage: string | undefined
}

/**
 * Bounds client connections by the descriptor limit. Without the bound, clients could take the last descriptor, and neither
 * ops port nor upstreams would be reachable.
 */
export function boundConnections(
  { entrypoint, upstreams }: Pick<GatewayConfig, 'entrypoint' | 'upstreams'>,
  found: DescriptorLimit | undefined,
): ConnectionBound {
  const { maxConnections: wanted, maxConnectionsPerClient: wantedPerClient } = entrypoint
  const allFit = { maxConnections: wanted, maxConnectionsPerClient: wantedPerClient, shortage: undefined }
  const ofUpstreams = upstreams.reduce((sum, upstream) => sum + upstream.targets.length * connectionsOf(upstream), 0)
  if (found === undefined) return allFit
  const needed = found.inUse + RESERVE + ofUpstreams + wanted
  if (needed <= found.limit) return allFit
  const available = Math.max(2, found.limit - found.inUse - RESERVE)
  // Each client needs one upstream connection at a time, so more than half of the descriptors for clients has no effect.
  const maxConnections = Math.min(wanted, available - Math.min(ofUpstreams, Math.floor(available / 2)))
  const maxConnectionsPerClient = Math.min(wantedPerClient, Math.ceil(maxConnections * 0.9))
  const shortage =
    `this process may open ${found.limit} files and connections, and needs ${needed} for entrypoint.maxConnections ` +
    `(${wanted}) and the connections to upstreams (${ofUpstreams}): at most ${maxConnections} client connections are ` +
    `accepted. Raise the limit ("ulimit -n ${needed}", LimitNOFILE= of systemd, --ulimit nofile= of docker), or lower these keys`
  return { maxConnections, maxConnectionsPerClient, shortage }
}

/** Returns the most connections to one target; with `auto` either protocol may be chosen. */
function connectionsOf({ protocol, maxConnections, http2 }: UpstreamConfig): number {
  if (protocol === 'http1') return maxConnections
  return protocol === 'auto' ? Math.max(maxConnections, http2.maxConnections) : http2.maxConnections
}
