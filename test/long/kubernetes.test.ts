import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { CHART } from '../../tools/kubernetes/chart-files'
import { findApiServer, findCustomResources, findEtcd, findHelm } from '../../tools/kubernetes/programs'
import { renderChart, runHelm, tryHelm } from '../support/helm'
import { needsFound } from '../support/needs'
import {
  startKubernetes,
  type Answer,
  type KubernetesObject,
  type RunningKubernetes,
} from '../support/start-kubernetes'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const NAMESPACE = 'shop'
const RELEASE = 'gw'
const PRODUCTION = 'deploy/examples/values-production.yaml'
/** The kinds of operators that the chart has objects of. */
const CUSTOM_KINDS = 'PodMonitor ServiceMonitor PrometheusRule AlertmanagerConfig ScaledObject Certificate'.split(' ')

/** Values by what they show: the chart's own, those of docs/kubernetes.md, and what these leave out. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  defaults: [],
  production: ['-f', PRODUCTION],
  'autoscaling by CPU, a ServiceMonitor and another job': [
    '--set=autoscaling.enabled=true',
    '--set=monitoring.serviceMonitor.enabled=true',
    '--set=monitoring.prometheusRule.enabled=true',
    '--set-file=monitoring.prometheusRule.slo=monitoring/rules/slo.yml',
    '--set=monitoring.dashboards.enabled=true',
    '--set=monitoring.job=api-gateway',
    '--set-file=configText=gateway.yaml',
    '--set=secretFiles={issuer-keys}',
    '--set=discovery.enabled=true',
    '--set=incidents.enabled=true',
    '--set=incidents.envFromSecrets={gateway-secrets}',
  ],
}

describe('the Helm chart', function () {
  this.timeout(300_000)

  before(needsFound(findHelm))

  async function helm(...args: readonly string[]): Promise<string> {
    return runHelm(args, cluster?.kubeconfig)
  }

  async function rendered(values: readonly string[]): Promise<KubernetesObject[]> {
    return renderChart(NAMESPACE, values)
  }

  for (const [what, values] of Object.entries(VALUES)) {
    it(`passes helm lint: ${what}`, async () => {
      await helm('lint', '--strict', CHART, ...values)
    })
  }

  for (const [what, values, reason] of [
    ['a misspelt value', ['--set=replicas=3'], /additional propert.*'replicas'/is],
    ['a value of another type', ['--set=replicaCount=many'], /replicaCount.*got string, want integer/is],
    ['two autoscalers', ['--set=keda.enabled=true,autoscaling.enabled=true'], /enable one of them/],
    ['TLS without a certificate', ['--set=tls.enabled=true'], /tls\.enabled needs tls\.secretName/],
    [
      'targets in Kubernetes without a token to ask with',
      ['--set=config.upstreams.orders.targets[0].kubernetes=orders'],
      /the pods have no token to ask with: set discovery\.enabled/,
    ],
    ['the incident service without OPS_TOKEN', ['--set=incidents.enabled=true'], /incidents\.enabled needs OPS_TOKEN/],
  ] as const) {
    it(`refuses ${what}, with the reason`, async () => {
      const { code, output } = await tryHelm(['template', RELEASE, CHART, ...values])
      assert.notEqual(code, 0)
      assert.match(output, reason)
    })
  }

  it('gives a pod more time to end than the gateway takes', async () => {
    const objects = await rendered(['--set=shutdown.delaySeconds=20', '--set=shutdown.timeoutSeconds=60'])
    const { spec } = podOf(objects.find(isGateway))
    assert.equal(spec.terminationGracePeriodSeconds, 95)
    const env = Object.fromEntries(spec.containers[0]?.env.map(({ name, value }) => [name, value]) ?? [])
    assert.equal(env['SHUTDOWN_DELAY_MS'], '20000')
    assert.equal(env['SHUTDOWN_TIMEOUT_MS'], '60000')
  })

  it('lets values win over the settings that it makes, each variable once', async () => {
    const objects = await rendered(['--set-string=env.SHUTDOWN_DELAY_MS=1', '--set-string=env.REPLICAS=7'])
    const env = podOf(objects.find(isGateway)).spec.containers[0]?.env ?? []
    assert.equal(env.find(({ name }) => name === 'REPLICAS')?.value, '7')
    assert.equal(new Set(env.map(({ name }) => name)).size, env.length)
  })

  it('gives the gateway, and no other pod, a token and a Role in each namespace of its targets', async () => {
    const none = await rendered([])
    assert.ok(!none.some(({ kind }) => kind.startsWith('Role')))
    assert.equal(podOf(none.find(isGateway)).spec.automountServiceAccountToken, false)

    const objects = await rendered([
      '--set=discovery.enabled=true',
      '--set=discovery.namespaces={shop,stock}',
      '--set=incidents.enabled=true',
      '--set=incidents.env.OPS_TOKEN=secret-of-a-test',
      '--set=config.upstreams.orders.targets[0].kubernetes=orders',
    ])
    const roles = objects.filter(({ kind }) => kind === 'Role')
    assert.deepEqual(
      roles.map(({ metadata }) => metadata.namespace),
      ['shop', 'stock'],
    )
    for (const role of roles) {
      const rule = { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] }
      assert.deepEqual(role['rules'], [rule])
    }
    for (const { subjects } of objects.filter(({ kind }) => kind === 'RoleBinding')) {
      assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name: 'gw-myesi-gateway', namespace: NAMESPACE }])
    }
    const withToken = objects.filter(object => object.kind === 'Deployment' && hasToken(object))
    assert.deepEqual(
      withToken.map(({ metadata }) => metadata.name),
      ['gw-myesi-gateway'],
    )
  })

  it('renders objects that each say their namespace, for kubectl apply', async () => {
    for (const values of Object.values(VALUES)) {
      for (const { kind, metadata } of await rendered(values)) {
        assert.equal(metadata.namespace, NAMESPACE, `${kind} ${metadata.name}`)
      }
    }
  })

  it('renders everything that its page names', async () => {
    const production = await rendered(['-f', PRODUCTION])
    const byCpu = await rendered(VALUES['autoscaling by CPU, a ServiceMonitor and another job'] ?? [])
    const has = (objects: readonly KubernetesObject[], kind: string, name?: string): boolean =>
      objects.some(object => object.kind === kind && (name === undefined || object.metadata.name === name))
    for (const kind of [
      'Deployment Service ConfigMap ServiceAccount PodDisruptionBudget NetworkPolicy ScaledObject Certificate PodMonitor',
      'PrometheusRule AlertmanagerConfig',
    ].flatMap(kinds => kinds.split(' '))) {
      assert.ok(has(production, kind), kind)
    }
    for (const kind of ['HorizontalPodAutoscaler', 'ServiceMonitor', 'Role', 'RoleBinding']) {
      assert.ok(has(byCpu, kind), kind)
    }
    for (const kind of ['Deployment', 'Service', 'NetworkPolicy', 'PodMonitor']) {
      assert.ok(has(production, kind, 'gw-myesi-gateway-incidents'), `${kind} of the incident service`)
    }
    for (const kind of ['Deployment', 'Service', 'NetworkPolicy', 'ServiceMonitor']) {
      assert.ok(has(byCpu, kind, 'gw-myesi-gateway-redis'), `${kind} of the bundled Redis`)
    }
    const dashboards = production.filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1')
    assert.deepEqual(
      dashboards.map(({ metadata }) => metadata.name.replace('gw-myesi-gateway-dashboard-', '')).toSorted(),
      ['gateway', 'limits', 'pipeline', 'redis', 'runtime', 'upstreams'],
    )
    for (const { data, metadata } of dashboards) {
      const [text = ''] = Object.values(data as Record<string, string>)
      assert.ok((JSON.parse(text) as { panels: unknown[] }).panels.length > 0, metadata.name)
      // kubectl keeps a copy of the object in an annotation, of which all together have at most 256 KiB.
      assert.ok(JSON.stringify(data).length < 200_000, metadata.name)
    }
    const { spec } = podOf(production.find(isGateway))
    const [container] = spec.containers
    assert.deepEqual(
      spec.topologySpreadConstraints.map(({ topologyKey }) => topologyKey),
      ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'],
    )
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
      assert.ok(container?.[probe], probe)
    const [hooked] = podOf((await rendered(['--set=lifecycle.preStop.sleep.seconds=5'])).find(isGateway)).spec
      .containers
    assert.deepEqual(hooked?.lifecycle, { preStop: { sleep: { seconds: 5 } } })
  })

  it('renders rules and dashboards with another job', async () => {
    const objects = await rendered(VALUES['autoscaling by CPU, a ServiceMonitor and another job'] ?? [])
    const text = JSON.stringify(objects.filter(({ kind }) => ['PrometheusRule', 'ConfigMap'].includes(kind)))
    assert.doesNotMatch(text, /job=\\*"myesi-api/)
    assert.match(text, /job=\\*"api-gateway/)
  })

  let cluster: RunningKubernetes | undefined

  describe('in a real API server', () => {
    before(needsFound(findEtcd))
    before(needsFound(findApiServer))
    before(needsFound(findCustomResources))
    before(async () => {
      cluster = await startKubernetes()
      await create('Namespace', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      })
      const definitions = (await findCustomResources())
        .flatMap(file => parseAllDocuments(readFileSync(file, 'utf8')).map(document => document.toJS() as unknown))
        .filter(isDefinition)
        .filter(({ spec }) => CUSTOM_KINDS.includes(spec.names.kind))
      assert.deepEqual(definitions.map(({ spec }) => spec.names.kind).sort(), [...CUSTOM_KINDS].sort())
      for (const definition of definitions) await create('CustomResourceDefinition', definition)
      for (const { spec } of definitions) {
        for (const { name } of spec.versions.filter(({ served }) => served)) {
          const path = (): Promise<string> => theCluster().pathOf(`${spec.group}/${name}`, spec.names.kind, NAMESPACE)
          await until(path, { what: `${spec.names.kind} is served`, timeoutMs: 30_000, intervalMs: 100 })
        }
      }
    })
    after(async () => {
      await cluster?.stop()
    })

    function theCluster(): RunningKubernetes {
      assert.ok(cluster)
      return cluster
    }

    async function post(object: object, query = ''): Promise<Answer> {
      const { apiVersion, kind } = object as KubernetesObject
      const path = await theCluster().pathOf(apiVersion, kind, NAMESPACE)
      return theCluster().send('POST', `${path}?fieldValidation=Strict${query}`, object)
    }

    async function create(what: string, object: object): Promise<void> {
      const { status, body } = await post(object)
      assert.equal(status, 201, `${what}: ${body.message}`)
    }

    async function stored(apiVersion: string, kind: string, name: string): Promise<KubernetesObject> {
      const { status, body } = await theCluster().send(
        'GET',
        `${await theCluster().pathOf(apiVersion, kind, NAMESPACE)}/${name}`,
      )
      assert.equal(status, 200, body.message)
      return body
    }

    for (const [what, values] of Object.entries(VALUES)) {
      it(`has only objects that the server accepts, without a field that it does not know: ${what}`, async () => {
        const objects = await rendered(values)
        assert.ok(objects.length >= 8)
        for (const object of objects) {
          const { status, body } = await post(object, '&dryRun=All')
          assert.equal(status, 201, `${object.kind} ${object.metadata.name}: ${body.message}`)
        }
      })
    }

    it('would be told about a misspelt field', async () => {
      const [object] = (await rendered([])).filter(isGateway)
      assert.ok(object)
      const spec = { ...(object['spec'] as object), replcas: 3 }
      const { status, body } = await post({ ...object, spec }, '&dryRun=All')
      assert.equal(status, 400)
      assert.match(body.message ?? '', /unknown field "spec\.replcas"/)
    })

    it('installs, changes its configuration without a new pod, goes back, and leaves nothing', async () => {
      const chart = [RELEASE, CHART, `--namespace=${NAMESPACE}`, '-f', PRODUCTION]
      const notes = await helm('install', ...chart)
      assert.match(notes, /rollout status deployment\/gw-myesi-gateway/)
      const first = await stored('apps/v1', 'Deployment', 'gw-myesi-gateway')
      const configuration = async (): Promise<string> =>
        ((await stored('v1', 'ConfigMap', 'gw-myesi-gateway'))['data'] as Record<string, string>)['gateway.yaml'] ?? ''
      assert.match(await configuration(), /limit: 100\b/)

      const changed = join(temporaryFolder(), 'changed.yaml')
      const route = { name: 'orders', match: { path: '/api/orders' }, upstream: 'orders' }
      const routes = [{ ...route, rateLimit: { limit: 7, window: '1m' } }]
      writeFileSync(changed, JSON.stringify({ config: { routes } }))
      await helm('upgrade', ...chart, '-f', changed)
      assert.match(await configuration(), /limit: 7\b/)
      const second = await stored('apps/v1', 'Deployment', 'gw-myesi-gateway')
      assert.deepEqual(second['spec'], first['spec'])

      await helm('rollback', RELEASE, '1', `--namespace=${NAMESPACE}`)
      assert.match(await configuration(), /limit: 100\b/)

      for (const name of ['gw-myesi-gateway', 'gw-myesi-gateway-incidents']) {
        const { spec, metadata } = podOf(await stored('apps/v1', 'Deployment', name))
        const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name }, spec }
        const accepted = await post(pod, '&dryRun=All')
        assert.equal(accepted.status, 201, `Pod Security: ${accepted.body.message}`)
        const asRoot = { ...spec, securityContext: { ...spec.securityContext, runAsUser: 0, runAsNonRoot: false } }
        const refused = await post({ ...pod, spec: asRoot }, '&dryRun=All')
        assert.equal(refused.status, 403)
        assert.match(refused.body.message ?? '', /violates PodSecurity "restricted:latest"/)
      }

      const installed = await rendered(['-f', PRODUCTION])
      await helm('uninstall', RELEASE, `--namespace=${NAMESPACE}`)
      for (const { apiVersion, kind, metadata } of installed) {
        const path = `${await theCluster().pathOf(apiVersion, kind, NAMESPACE)}/${metadata.name}`
        const { status } = await theCluster().send('GET', path)
        assert.equal(status, 404, `${kind} ${metadata.name} is still there`)
      }
    })

    it('runs Redis of its own within restricted Pod Security', async () => {
      const objects = await rendered([])
      const account = objects.find(({ kind }) => kind === 'ServiceAccount')
      assert.ok(account)
      await create('ServiceAccount', account)
      const name = 'gw-myesi-gateway-redis'
      const { spec, metadata } = podOf(
        objects.find(object => object.kind === 'Deployment' && object.metadata.name === name),
      )
      const { status, body } = await post(
        { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name }, spec },
        '&dryRun=All',
      )
      assert.equal(status, 201, body.message)
    })
  })
})

interface Pod {
  readonly metadata: object
  readonly spec: {
    readonly terminationGracePeriodSeconds: number
    readonly securityContext: object
    readonly automountServiceAccountToken?: boolean
    readonly topologySpreadConstraints: readonly { readonly topologyKey: string }[]
    readonly containers: readonly {
      readonly env: readonly { name: string; value?: string }[]
      readonly startupProbe?: object
      readonly readinessProbe?: object
      readonly livenessProbe?: object
      readonly lifecycle?: object
    }[]
  }
}

interface Definition {
  readonly kind: string
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly served: boolean }[]
  }
}

function podOf(deployment: KubernetesObject | undefined): Pod {
  assert.ok(deployment)
  return (deployment['spec'] as { template: Pod }).template
}

function isGateway({ kind, metadata }: KubernetesObject): boolean {
  return kind === 'Deployment' && metadata.name === 'gw-myesi-gateway'
}

function hasToken(deployment: KubernetesObject): boolean {
  return podOf(deployment).spec.automountServiceAccountToken !== false
}

function isDefinition(value: unknown): value is Definition {
  return (value as Definition | null)?.kind === 'CustomResourceDefinition'
}
