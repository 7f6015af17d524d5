import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { ProcessCommand } from '../../../tools/stack/managed-process'

/**
 * Two networks of the test's own: `front` for clients and upstreams, `back` for Redis, Collectors, Prometheus and the
 * gateways among themselves. Each machine is a network namespace with an interface in one or both. The bridges are in a
 * namespace too, so that no packet filter of the host applies to them.
 */
export interface Network {
  /** Addresses of the test's own process. */
  readonly front: string
  readonly back: string
  /** Adds a machine. */
  add(name: string, networks: readonly NetworkName[]): Machine
  /** Ends whatever runs on the machines, and removes all namespaces and interfaces. */
  remove(): void
}

export type NetworkName = 'front' | 'back'

export interface Machine {
  readonly name: string
  /** Address in the network. @throws if the machine is not in it */
  address(network: NetworkName): string
  /** The same program, run on this machine. The process id is the program's, so signals reach it. */
  running(command: ProcessCommand): ProcessCommand
  /** Takes the link down, as a pulled cable does: packets are lost without an answer. */
  cut(network: NetworkName): void
  heal(network: NetworkName): void
}

/** 198.18.0.0/15 is reserved for tests between networks (RFC 2544), so no host of the internet is hidden. */
const RANGES: Readonly<Record<NetworkName, string>> = { front: '198.18', back: '198.19' }
const NETWORKS = ['front', 'back'] as const
/** Names of namespaces and interfaces: `mygw`, the process id in base 36, and the machine. At most 15 characters. */
const NAME = /^mygw([0-9a-z]+)-/

/**
 * Creates the networks. Needs root and iproute2. What an earlier run left behind because it was killed is removed first.
 *
 * @throws Error with the reason if namespaces cannot be made here
 */
export function createNetwork(): Network {
  removeLeftovers()
  const own = `mygw${process.pid.toString(36)}-`
  const hub = `${own}hub`
  const subnet = freeSubnet()
  const machines: string[] = [hub]
  let isRemoved = false

  const remove = (): void => {
    if (isRemoved) return
    isRemoved = true
    process.off('exit', remove)
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    for (const namespace of machines) removeNamespace(namespace)
    for (const network of NETWORKS) tryIp('link', 'del', `${own}${network}`)
  }
  // Ctrl-C ends a process without its exit hooks.
  const stop = (): never => process.exit(130)
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  process.once('exit', remove)

  try {
    ip('netns', 'add', hub)
    for (const network of NETWORKS) {
      const [outside, bridge] = [`${own}${network}`, `br-${network}`]
      ip('-n', hub, 'link', 'add', bridge, 'type', 'bridge')
      ip('-n', hub, 'link', 'set', bridge, 'up')
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', `test-${network}`, 'netns', hub)
      ip('-n', hub, 'link', 'set', `test-${network}`, 'master', bridge, 'up')
      ip('addr', 'add', `${RANGES[network]}.${subnet}.1/24`, 'dev', outside)
      ip('link', 'set', outside, 'up')
    }
  } catch (error) {
    remove()
    throw new Error(`network namespaces cannot be made here (needs root and iproute2): ${reasonOf(error)}`, {
      cause: error,
    })
  }

  return {
    front: `${RANGES.front}.${subnet}.1`,
    back: `${RANGES.back}.${subnet}.1`,
    remove,
    add(name, networks) {
      const host = machines.length + 10
      const namespace = `${own}${name}`
      machines.push(namespace)
      ip('netns', 'add', namespace)
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
      for (const network of networks) {
        const port = `${name}-${network}`
        ip('-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', network, 'netns', namespace)
        ip('-n', hub, 'link', 'set', port, 'master', `br-${network}`, 'up')
        ip('-n', namespace, 'addr', 'add', `${RANGES[network]}.${subnet}.${host}/24`, 'dev', network)
        ip('-n', namespace, 'link', 'set', network, 'up')
      }
      const set = (network: NetworkName, state: 'up' | 'down'): void => {
        ip('-n', hub, 'link', 'set', `${name}-${network}`, state)
      }
      return {
        name,
        address(network) {
          if (!networks.includes(network)) throw new Error(`${name} has no interface in ${network}`)
          return `${RANGES[network]}.${subnet}.${host}`
        },
        running: command => ({
          ...command,
          path: 'ip',
          args: ['netns', 'exec', namespace, command.path, ...command.args],
        }),
        cut: network => set(network, 'down'),
        heal: network => set(network, 'up'),
      }
    },
  }
}

/** Removes the namespaces and interfaces of runs whose process is gone. */
export function removeLeftovers(): void {
  const isLeft = (name: string): boolean => {
    const pid = NAME.exec(name)?.[1]
    return pid !== undefined && !existsSync(`/proc/${Number.parseInt(pid, 36)}`)
  }
  for (const line of (tryIp('netns', 'list') ?? '').split('\n')) {
    const [name = ''] = line.split(' ')
    if (isLeft(name)) removeNamespace(name)
  }
  for (const line of (tryIp('-o', 'link', 'show') ?? '').split('\n')) {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1] ?? ''
    if (isLeft(name)) tryIp('link', 'del', name)
  }
}

/** A namespace lives as long as a process in it, also without its name. */
function removeNamespace(namespace: string): void {
  for (const pid of (tryIp('netns', 'pids', namespace) ?? '').split('\n').filter(line => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }
  tryIp('netns', 'del', namespace)
}

/** Third part of addresses that no interface of this machine has. */
function freeSubnet(): number {
  const used = ip('-o', 'addr', 'show')
  const free = Array.from({ length: 254 }, (_, i) => i + 1).filter(subnet =>
    NETWORKS.every(network => !used.includes(` ${RANGES[network]}.${subnet}.`)),
  )
  const chosen = free[Math.floor(Math.random() * free.length)]
  if (chosen === undefined) throw new Error('all of 198.18.0.0/15 is in use on this machine')
  return chosen
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 10_000 })
}

/** Undefined if it fails: what is to be removed may be gone, or never have been made. */
function tryIp(...args: readonly string[]): string | undefined {
  try {
    return ip(...args)
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  const said = (error as { stderr?: unknown }).stderr
  return (typeof said === 'string' && said.trim()) || String(error)
}
