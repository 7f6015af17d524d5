import { isIP } from 'node:net'
import { MAX_TARGETS } from '../../../config/target-list'
import type { TargetConfig } from '../../../config/values/target'
import type { KubernetesSource } from '../../../config/values/target-source'

/** The limits of Kubernetes itself. */
const MAX_ENDPOINTS = 1_000
const MAX_PORTS = 100

/** The part of an EndpointSlice that targets are made of: an object has many times its size. */
export interface Slice {
  readonly name: string
  readonly ports: readonly SlicePort[]
  readonly endpoints: readonly Endpoint[]
}

interface SlicePort {
  readonly name: string
  readonly number: number
}

interface Endpoint {
  readonly address: string
  /** Identity of the pod; undefined if the slice was written by hand. */
  readonly pod: string | undefined
  readonly isTerminating: boolean
}

export interface FoundTargets {
  readonly targets: readonly TargetConfig[]
  /** Why the answer cannot be used; then it has no targets. */
  readonly problem?: string
}

/** Reads an EndpointSlice of `discovery.k8s.io/v1`. @returns undefined if it is none that has addresses */
export function readSlice(object: unknown): Slice | undefined {
  const { metadata, addressType, ports, endpoints } = asObject(object)
  const { name } = asObject(metadata)
  if (typeof name !== 'string') return undefined
  // A name in place of an address (FQDN) is deprecated, and no controller writes it.
  const isOfUse = addressType === 'IPv4' || addressType === 'IPv6'
  return {
    name,
    ports: asArray(ports).slice(0, MAX_PORTS).flatMap(readPort),
    endpoints: isOfUse ? asArray(endpoints).slice(0, MAX_ENDPOINTS).flatMap(readEndpoint) : [],
  }
}

function readPort(found: unknown): SlicePort[] {
  const { name = '', port, protocol = 'TCP' } = asObject(found)
  return typeof port === 'number' && protocol === 'TCP' ? [{ name: String(name), number: port }] : []
}

/** Endpoints that can take requests: a pod that ends may finish some, one that is not ready may not. */
function readEndpoint(found: unknown): Endpoint[] {
  const { addresses, conditions, targetRef } = asObject(found)
  const { ready, serving = ready, terminating } = asObject(conditions)
  // All addresses of an endpoint are the same pod, and Kubernetes says that the first is the one to use.
  const [address] = asArray(addresses)
  const isTerminating = terminating === true
  // A missing condition means that nothing is known, and counts as ready.
  if (typeof address !== 'string' || isIP(address) === 0 || serving === false) return []
  if (ready === false && !isTerminating) return []
  const { uid } = asObject(targetRef)
  return [{ address, pod: typeof uid === 'string' ? uid : undefined, isTerminating }]
}

/**
 * Returns the ready pods of all slices of a Service, as targets. Pods that end are used only while none is ready, as kube-proxy
 * does: they serve until they are gone. A pod with addresses of both families is one target.
 */
export function targetsOf(slices: readonly Slice[], source: KubernetesSource, namespace: string): FoundTargets {
  const name = `${namespace}/${source.service}`
  if (slices.length === 0) {
    return {
      targets: [],
      problem: `service ${name} has no EndpointSlice: there is no such Service, or it has no selector`,
    }
  }
  const ports = new Map(slices.flatMap(slice => slice.ports.map(port => [port.name, port.number])))
  const listed = [...ports].map(([port, number]) => (port === '' ? String(number) : `${port} (${number})`)).join(', ')
  if (source.port === undefined && ports.size > 1) {
    return { targets: [], problem: `service ${name} has several ports, add "port": ${listed}` }
  }
  const isWanted = ({ name: port, number }: SlicePort): boolean =>
    source.port === undefined || source.port === port || source.port === number
  const usable = slices.map(({ ports, endpoints }) => ({ port: ports.find(isWanted)?.number, endpoints }))
  // A Service whose pods are all gone has slices without ports.
  if (ports.size > 0 && usable.every(({ port }) => port === undefined)) {
    return { targets: [], problem: `service ${name} has no port ${source.port}, it has ${listed}` }
  }
  const all = usable.flatMap(({ port, endpoints }) =>
    port === undefined ? [] : endpoints.map(endpoint => ({ ...endpoint, port })),
  )
  const ready = all.filter(({ isTerminating }) => !isTerminating)
  const authority = `${source.service}.${namespace}.svc`
  const byPod = new Map<string, TargetConfig>()
  for (const { address, pod, port } of (ready.length > 0 ? ready : all).toSorted(byFamily)) {
    const { origin } = new URL(`${source.scheme}://${isIP(address) === 6 ? `[${address}]` : address}:${port}`)
    const key = pod ?? origin
    if (!byPod.has(key)) byPod.set(key, { origin, weight: 1, authority })
  }
  // In one order, so that slices in another order are no change; an endpoint may be in two slices while it moves.
  const byOrigin = new Map([...byPod.values()].map(target => [target.origin, target]))
  const targets = [...byOrigin.values()].toSorted((a, b) => (a.origin < b.origin ? -1 : 1)).slice(0, MAX_TARGETS)
  return { targets }
}

/** IPv4 first. */
function byFamily(a: Endpoint, b: Endpoint): number {
  return isIP(a.address) - isIP(b.address)
}

function asObject(found: unknown): Readonly<Record<string, unknown>> {
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
}

function asArray(found: unknown): readonly unknown[] {
  return Array.isArray(found) ? found : []
}
