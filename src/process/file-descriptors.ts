import { readdirSync } from 'node:fs'
import type { GatewayConfig } from '../config/gateway-config'

/** Kept free of client connections: for the ops port, Redis, exporters, health checks, names and files. */
const RESERVE = 16

/** What this process may open at once: files, listeners and connections alike. */
export interface DescriptorLimit {
  /** `ulimit -n`; Infinity where there is none. Node raises the soft limit to the hard one when it starts. */
  readonly limit: number
  /** Open before anything is served. */
  readonly inUse: number
}

/** Undefined where the system has no such limit, as on Windows. */
export function readDescriptorLimit(): DescriptorLimit | undefined {
  try {
    // Its types do not know this one.
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

/** How many client connections fit, and what to do where that is fewer than the file asks for. */
export interface ConnectionBound {
  readonly maxConnections: number
  /** One sentence; undefined where everything fits. */
  readonly shortage: string | undefined
}

/**
 * Bounds client connections by what the process may open. Without it clients take the last descriptor, and neither the ops
 * port nor an upstream can be reached any more.
 */
export function boundConnections(
  { entrypoint, upstreams }: Pick<GatewayConfig, 'entrypoint' | 'upstreams'>,
  found: DescriptorLimit | undefined,
): ConnectionBound {
  const { maxConnections: wanted } = entrypoint
  const ofUpstreams = upstreams.reduce((sum, { targets, maxConnections }) => sum + targets.length * maxConnections, 0)
  if (found === undefined) return { maxConnections: wanted, shortage: undefined }
  const needed = found.inUse + RESERVE + ofUpstreams + wanted
  if (needed <= found.limit) return { maxConnections: wanted, shortage: undefined }
  const available = Math.max(2, found.limit - found.inUse - RESERVE)
  // A client needs one connection to an upstream at a time: more than half for clients would be of no use to them.
  const maxConnections = Math.min(wanted, available - Math.min(ofUpstreams, Math.floor(available / 2)))
  const shortage =
    `this process may open ${found.limit} files and connections, and needs ${needed} for entrypoint.maxConnections ` +
    `(${wanted}) and the connections to upstreams (${ofUpstreams}): at most ${maxConnections} client connections are ` +
    `accepted. Raise the limit ("ulimit -n ${needed}", LimitNOFILE= of systemd, --ulimit nofile= of docker), or lower these keys`
  return { maxConnections, shortage }
}
