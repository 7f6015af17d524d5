import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { findApiServer, findEtcd, findHelm } from '../../tools/kubernetes/programs'
import { renderChart } from '../support/helm'
import { needsFound } from '../support/needs'
import { startKubernetes, type RunningKubernetes } from '../support/start-kubernetes'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'

const NAMESPACE = 'shop'
const ROLLS = 8
const CLIENTS = 4
/** What the documentation promises. */
const FOLLOWS_MS = 1_000
/** How long a pod serves while it ends, as with a `preStop` hook. */
const ENDING_MS = 500

/** A pod: a server in this process, and a slice of its own. All pods have the address of this machine. */
interface Pod {
  readonly name: string
  readonly server: RunningUpstream
}

describe('targets by the pods of a Service, with a real API server', function () {
  this.timeout(300_000)

  let cluster: RunningKubernetes
  let credentials: string
  let pipeline: Pipeline
  // The API server refuses endpoints on loopback; packets to an address of this machine stay on it.
  const address = ownAddress()

  before(needsFound(findEtcd))
  before(needsFound(findApiServer))
  before(needsFound(findHelm))
  before(async () => {
    cluster = await startKubernetes()
    await create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
    const ports = [{ name: 'http', port: 80, targetPort: 'http' }]
    const spec = { selector: { app: 'orders' }, ports }
    await create({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'orders' }, spec })
    for (const object of await renderChart(NAMESPACE, ['--set=discovery.enabled=true'])) {
      if (['ServiceAccount', 'Role', 'RoleBinding'].includes(object.kind)) await create(object)
    }
    credentials = await credentialsOf('gw-myesi-gateway')
  })
  after(async () => {
    await cluster?.stop()
  })

  async function create(object: object): Promise<void> {
    const { apiVersion, kind } = object as { apiVersion: string; kind: string }
    const path = await cluster.pathOf(apiVersion, kind, NAMESPACE)
    const { status, body } = await cluster.send('POST', `${path}?fieldValidation=Strict`, object)
    assert.equal(status, 201, body.message)
  }

  /** A folder as the kubelet mounts it. */
  async function credentialsOf(account: string): Promise<string> {
    const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } }
    const { status, body } = await cluster.send('POST', path, request)
    assert.equal(status, 201, body.message)
    const folder = join(temporaryFolder(), 'serviceaccount')
    mkdirSync(folder)
    writeFileSync(join(folder, 'token'), (body['status'] as { token: string }).token)
    writeFileSync(join(folder, 'ca.crt'), readFileSync(cluster.caFile))
    writeFileSync(join(folder, 'namespace'), NAMESPACE)
    return folder
  }

  async function startGateway(folder = credentials): Promise<Pipeline> {
    const discovery = { kubernetes: { server: cluster.url, credentials: folder } }
    return startPipeline(proxyTo('', { upstream: { targets: [{ kubernetes: 'orders', port: 'http' }], discovery } }))
  }

  const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`

  async function startPod(name: string): Promise<Pod> {
    const server = await startUpstream((_request, response) => response.end(name), { host: address })
    const pod = { name, server }
    await create(sliceOf(pod, { ready: true, serving: true, terminating: false }))
    return pod
  }

  function sliceOf({ name, server }: Pod, conditions: object): object {
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': 'orders' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', protocol: 'TCP', port: server.port }],
      endpoints: [{ addresses: [address], conditions, targetRef: { kind: 'Pod', name, uid: name } }],
    }
  }

  async function change(pod: Pod, conditions: object): Promise<void> {
    const { status, body } = await cluster.send('PUT', `${SLICES}/${pod.name}`, sliceOf(pod, conditions))
    assert.equal(status, 200, body.message)
  }

  async function remove({ name }: Pod): Promise<void> {
    const { status, body } = await cluster.send('DELETE', `${SLICES}/${name}`)
    assert.equal(status, 200, body.message)
  }

  function targets(): string[] {
    return pipeline.upstreams()[0]?.targets.map(({ target }) => target) ?? []
  }

  function urlOf({ server }: Pod): string {
    return `http://${address}:${server.port}`
  }

  /** @returns how long it took */
  async function followed(isThere: () => boolean, what: string): Promise<number> {
    const began = performance.now()
    await until(isThere, { what, intervalMs: 5 })
    return performance.now() - began
  }

  it('follows pods within a second, and fails no GET while they come and go under load', async () => {
    let pods = [await startPod('pod-0'), await startPod('pod-1')]
    pipeline = await startGateway()
    await until(() => targets().length === 2, { what: 'both pods are there' })
    const load = startLoad(pipeline.port, CLIENTS)
    const times: number[] = []
    for (let i = 0; i < ROLLS; i++) {
      const next = await startPod(`pod-${i + 2}`)
      times.push(await followed(() => targets().includes(urlOf(next)), `${next.name} is there`))
      const [old, ...others] = pods as [Pod, ...Pod[]]
      pods = [...others, next]
      if (i % 2 === 0) {
        // An orderly end: the pod serves while it ends.
        await change(old, { ready: false, serving: true, terminating: true })
        times.push(await followed(() => !targets().includes(urlOf(old)), `${old.name} is gone`))
        await new Promise(resolve => setTimeout(resolve, ENDING_MS))
        await old.server.stop()
      } else {
        // Killed: the server is gone before anybody knows.
        await old.server.stop()
      }
      await remove(old)
      await until(() => !targets().includes(urlOf(old)), { what: `${old.name} is gone` })
    }
    await load.stop()

    const failed = load.answers.filter(({ status }) => status !== 200)
    assert.ok(load.answers.length > 500, `${load.answers.length} requests`)
    assert.deepEqual(failed, [], `${failed.length} of ${load.answers.length} requests failed`)
    const slowest = Math.max(...times)
    assert.ok(slowest < FOLLOWS_MS, `the slowest change took ${slowest} ms`)
    console.log(
      `      ${load.answers.length} requests, none failed; ${times.length} changes followed in ${median(times)} ms (median), ${Math.round(slowest)} ms (slowest)`,
    )
    for (const pod of pods) await remove(pod)
    await until(() => targets().length === 0, { what: 'no pod is left' })
  })

  it('goes on with its pods while the API server is away, and follows again when it is back', async () => {
    const pod = await startPod('kept')
    pipeline = await startGateway()
    await until(() => targets().length === 1, { what: 'the pod is there' })

    await cluster.stopServer()
    await until(() => /ECONNREFUSED/.test(failureOf() ?? ''), { what: 'the outage is shown', timeoutMs: 30_000 })
    assert.equal(await (await fetch(`${pipeline.url}/app`)).text(), 'kept')
    await cluster.startServer()
    await until(() => failureOf() === null, { what: 'it is healed', timeoutMs: 60_000 })
    const second = await startPod('second')
    await until(() => targets().includes(urlOf(second)), { what: 'the new pod is there' })
    await remove(pod)
    await remove(second)
    await until(() => targets().length === 0, { what: 'no pod is left' })
  })

  it('needs the Role of the chart: without it, the page names the permission, and it heals when it is given', async () => {
    const pod = await startPod('guarded')
    await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'other' } })
    pipeline = await startGateway(await credentialsOf('other'))
    const wanted =
      '403: system:serviceaccount:shop:other may not list endpointslices in namespace shop: it needs a Role with get, list and watch on endpointslices in the API group discovery.k8s.io'
    await until(() => failureOf() !== null, { what: 'the refusal is shown' })
    assert.equal(failureOf(), wanted)
    assert.ok(pipeline.logs.some(({ failure }) => failure === wanted))

    await create({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'other' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'gw-myesi-gateway-shop-endpoints' },
      subjects: [{ kind: 'ServiceAccount', name: 'other', namespace: NAMESPACE }],
    })

    await until(() => targets().includes(urlOf(pod)), { what: 'the pod is there', timeoutMs: 30_000 })
    assert.equal(failureOf(), null)
  })

  it('may read EndpointSlices of its namespace and nothing else', async () => {
    const may = async (verb: string, group: string, resource: string, namespace: string): Promise<boolean> => {
      const { body } = await cluster.send('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${NAMESPACE}:gw-myesi-gateway`,
          resourceAttributes: { verb, group, resource, namespace },
        },
      })
      return (body['status'] as { allowed: boolean }).allowed
    }
    for (const verb of ['get', 'list', 'watch']) {
      assert.ok(await may(verb, 'discovery.k8s.io', 'endpointslices', NAMESPACE), verb)
    }
    assert.ok(!(await may('update', 'discovery.k8s.io', 'endpointslices', NAMESPACE)))
    assert.ok(!(await may('list', 'discovery.k8s.io', 'endpointslices', 'default')))
    assert.ok(!(await may('get', '', 'secrets', NAMESPACE)))
  })

  function failureOf(): string | null | undefined {
    return pipeline.upstreams()[0]?.sources?.[0]?.lastFailure
  }
})

function ownAddress(): string {
  const own = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  return own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)
}
