import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createAuthority } from '../support/certificates'
import { slice, startApiServer, type ScriptedApiServer } from '../support/start-api-server'
import { configOf, proxyTo, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const SOURCE = { kubernetes: 'orders', namespace: 'shop' }

describe('targets by the EndpointSlices of a Kubernetes Service', () => {
  it('merges all slices: ready pods of both families, each once, asked as the Service', async () => {
    const one = await startUpstream((_request, response) => response.end('one'))
    const api = await startApiServer()
    api.set(
      slice('orders-a', ['127.0.0.1', { address: '127.0.0.9', conditions: { ready: false, serving: false } }], on(one)),
      slice(
        'orders-b',
        [
          { address: '10.0.0.2', pod: 'pod-2' },
          { address: '10.0.0.4', conditions: {} },
        ],
        on(one),
      ),
      slice('orders-c', [{ address: '10.0.0.3', conditions: TERMINATING }, 'not an address'], on(one)),
      slice(
        'orders-d',
        [
          { address: 'fd00::2', pod: 'pod-2' },
          { address: 'fd00::5', pod: 'pod-5' },
        ],
        {
          ...on(one),
          family: 'IPv6',
        },
      ),
      slice('orders-e', ['orders.example'], { ...on(one), family: 'FQDN' }),
    )
    const pipeline = await startPipeline(discovering(api))

    await targetsAre(pipeline, [
      `http://10.0.0.2:${one.port}`,
      `http://10.0.0.4:${one.port}`,
      `http://127.0.0.1:${one.port}`,
      `http://[fd00::5]:${one.port}`,
    ])
    api.set(slice('orders-b', [], on(one)), slice('orders-d', [], { ...on(one), family: 'IPv6' }))
    await targetsAre(pipeline, [one.url])
    assert.deepEqual(await bodiesOf(pipeline, 1), ['one'])
    assert.equal(one.requests[0]?.headers.host, 'orders.shop.svc')
    assert.match(
      api.requests[0] ?? '',
      /\/namespaces\/shop\/endpointslices\?labelSelector=kubernetes\.io%2Fservice-name%3Dorders&limit=20$/,
    )
  })

  it('follows pods that come and go, and slices that are deleted, by its watch alone', async () => {
    const [one, two] = await sameportUpstreams()
    const api = await startApiServer()
    api.set(slice('orders-a', ['127.0.0.1'], on(one)))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, [one.url])

    api.set(slice('orders-b', ['127.0.0.2'], on(one)))
    await targetsAre(pipeline, [one.url, two.url.replace('127.0.0.1', '127.0.0.2')])
    assert.deepEqual((await bodiesOf(pipeline, 4)).toSorted(), ['one', 'one', 'two', 'two'])
    api.remove('orders-a')
    await targetsAre(pipeline, [`http://127.0.0.2:${one.port}`])

    assert.deepEqual(await bodiesOf(pipeline, 2), ['two', 'two'])
    assert.equal(lists(api), 1)
  })

  it('uses pods that end only while no other is ready', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', [{ address: '10.0.0.1', conditions: TERMINATING }]))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, ['http://10.0.0.1'])

    api.set(slice('orders-b', ['10.0.0.2']))

    await targetsAre(pipeline, ['http://10.0.0.2'])
  })

  it('has no target when the Service has no pod: an address that is free may soon be that of another pod', async () => {
    const one = await startUpstream()
    const api = await startApiServer()
    api.set(slice('orders-a', ['127.0.0.1'], on(one)))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, [one.url])

    api.set(slice('orders-a', [], { ports: [] }))
    await targetsAre(pipeline, [])

    assert.equal((await fetch(`${pipeline.url}/app`)).status, 503)
    assert.equal(failureOf(pipeline), null)
  })

  it('chooses the port by its name or by the number of the pods, in each slice', async () => {
    const api = await startApiServer()
    const named = (port: number): object[] => [
      { name: 'metrics', port: 9100 },
      { name: 'http', port },
      { name: 'voice', port: 5060, protocol: 'UDP' },
    ]
    api.set(slice('a', ['10.0.0.1'], { ports: named(8080) }), slice('b', ['10.0.0.2'], { ports: named(8081) }))
    const byName = await startPipeline(discovering(api, { port: 'http', scheme: 'https' }))
    const byNumber = await startPipeline(discovering(api, { port: 9100 }))
    const without = await startPipeline(discovering(api))
    const wrong = await startPipeline(discovering(api, { port: 'web' }))

    await targetsAre(byName, ['https://10.0.0.1:8080', 'https://10.0.0.2:8081'])
    await targetsAre(byNumber, ['http://10.0.0.1:9100', 'http://10.0.0.2:9100'])
    await failureIs(without, /^service shop\/orders has several ports, add "port": metrics \(9100\), http \(8081\)$/)
    await failureIs(wrong, /^service shop\/orders has no port web, it has metrics \(9100\), http \(8081\)$/)
    assert.deepEqual(targetsOf(wrong), [])
    api.set(slice('a', ['10.0.0.1']), slice('b', []))
    await targetsAre(without, ['http://10.0.0.1'])
    assert.equal(failureOf(without), null)
  })

  it('reads a list in pages, takes at most 500 targets, and refuses more than 200 slices', async () => {
    const api = await startApiServer()
    const addresses = (block: number): string[] => Array.from({ length: 60 }, (_, i) => `10.0.${block}.${i + 1}`)
    for (let block = 0; block < 10; block++) api.set(slice(`orders-${block}`, addresses(block)))
    api.pageSize = 3
    const pipeline = await startPipeline(discovering(api))
    await until(() => targetsOf(pipeline).length === 500, { what: 'there are 500 targets' })
    assert.equal(lists(api), 4)

    for (let i = 0; i < 200; i++) api.set(slice(`more-${i}`, []))
    await failureIs(pipeline, /more than 200 EndpointSlices/)
    assert.equal(targetsOf(pipeline).length, 500)
  })

  it('says when there is no such Service', async () => {
    const api = await startApiServer()
    const pipeline = await startPipeline(discovering(api))
    await failureIs(pipeline, /^service shop\/orders has no EndpointSlice: there is no such Service/)
    assert.ok(
      pipeline.logs.some(({ msg }) => /targets of upstream app cannot be found: there are none/.test(String(msg))),
    )
  })
})

describe('the watch of EndpointSlices', () => {
  it('goes on where it ended, after its time and after a cut, without another list', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', ['10.0.0.1']))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, ['http://10.0.0.1'])
    await watching(api)

    for (const [end, address] of [
      ['endWatches', '10.0.0.2'],
      ['cutWatches', '10.0.0.3'],
    ] as const) {
      const asked = api.requests.length
      api[end]()
      // Nobody watches now: the change has to be made up for.
      api.set(slice('orders-a', [address]))
      await targetsAre(pipeline, [`http://${address}`])
      assert.ok(api.requests.length > asked)
      await watching(api)
    }

    assert.equal(lists(api), 1)
    assert.equal(failureOf(pipeline), null)
    assert.ok(!pipeline.logs.some(({ level }) => level === 'warn'))
  })

  it('begins at the version of the last bookmark', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', ['10.0.0.1']))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, ['http://10.0.0.1'])
    await watching(api)
    const first = versionOf(api.requests.at(-1))

    api.bookmark()
    api.bookmark()
    api.endWatches()

    await until(() => versionOf(api.requests.at(-1)) === first + 2, { what: 'the next watch begins at the bookmark' })
    assert.match(api.requests.at(-1) ?? '', /allowWatchBookmarks=true&timeoutSeconds=[6-9]\d$/)
  })

  it('lists again when its version is gone (410), or an event is of no form', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', ['10.0.0.1']))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, ['http://10.0.0.1'])
    await watching(api)

    api.cutWatches()
    api.set(slice('orders-a', ['10.0.0.2']))
    api.forget()
    await targetsAre(pipeline, ['http://10.0.0.2'])
    assert.equal(lists(api), 2)
    assert.ok(!pipeline.logs.some(({ level }) => level === 'warn'), 'an old version is no failure')

    for (const line of [
      '{"type":"MODIFIED"',
      'x'.repeat(2_100_000),
      '{"type":"ERROR","object":{"code":500,"message":"no"}}',
    ]) {
      const before = lists(api)
      await watching(api)
      api.sendLine(line)
      await until(() => lists(api) > before, { what: 'there is another list' })
      await until(() => failureOf(pipeline) === null, { what: 'it is healed' })
    }
    assert.deepEqual(targetsOf(pipeline), ['http://10.0.0.2'])
  })

  it('keeps the last answer while the API server is away, says so once, and heals by itself', async () => {
    const one = await startUpstream((_request, response) => response.end('one'))
    const api = await startApiServer()
    api.set(slice('orders-a', ['127.0.0.1'], on(one)))
    const pipeline = await startPipeline(discovering(api))
    await targetsAre(pipeline, [one.url])
    await watching(api)

    await api.goAway()
    await failureIs(pipeline, /^the API server does not answer \(ECONNREFUSED\)$/)
    assert.deepEqual(await bodiesOf(pipeline, 2), ['one', 'one'])
    const refused = { status: 503, message: 'etcd is away' }
    api.refusal = refused
    await api.goOn()
    await failureIs(pipeline, /^503: etcd is away$/)
    assert.deepEqual(await bodiesOf(pipeline, 1), ['one'])

    api.refusal = undefined
    api.set(slice('orders-a', ['127.0.0.1', '127.0.0.2'], on(one)))
    await targetsAre(pipeline, [one.url, `http://127.0.0.2:${one.port}`])
    assert.equal(failureOf(pipeline), null)
    const said = pipeline.logs
      .filter(({ msg }) => /cannot be found|found again/.test(String(msg)))
      .map(({ msg }) => msg)
    assert.deepEqual(said, [
      'targets of upstream app cannot be found: those before stay',
      'targets of upstream app are found again',
    ])
  })

  it('asks less and less often while it fails', async () => {
    const api = await startApiServer()
    api.refusal = { status: 500, message: 'no' }
    const pipeline = await startPipeline(discovering(api, {}, { refresh: '10ms' }))
    const times: number[] = []
    await until(
      () => {
        while (times.length < api.requests.length) times.push(performance.now())
        return times.length >= 7
      },
      { what: 'there are seven requests', intervalMs: 1 },
    )
    const [early, late] = [(times[1] as number) - (times[0] as number), (times[6] as number) - (times[5] as number)]
    assert.ok(late > early * 4, `${early} ms, then ${late} ms`)
    await pipeline.stop()
  })

  it('ends with the upstream that it is for', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', ['10.0.0.1']))
    const file = discovering(api)
    const pipeline = await startPipeline(file)
    await watching(api)

    pipeline.reload({ ...file, routes: [...file.routes, { name: 'b', match: { path: '/b' }, upstream: 'app' }] })
    assert.deepEqual(targetsOf(pipeline), ['http://10.0.0.1'], 'a reload that leaves the upstream keeps the watch')
    assert.equal(lists(api), 1)
    pipeline.reload(proxyTo('http://127.0.0.1:1'))

    await until(() => api.watches === 0, { what: 'the watch has ended' })
  })
})

describe('credentials for the API server', () => {
  it('are the token, read again when it is replaced, the authority and the namespace of a folder', async () => {
    const authority = createAuthority('Cluster')
    const api = await startApiServer(authority.issue('localhost'))
    api.token = 'first'
    api.set(slice('orders-a', ['10.0.0.1']))
    const folder = credentials({ token: 'first\n', 'ca.crt': authority.cert, namespace: 'shop\n' })
    const server = api.url.replace('127.0.0.1', 'localhost')
    const source = { kubernetes: 'orders' }
    const pipeline = await startPipeline(discovering(api, source, { kubernetes: { server, credentials: folder } }))
    await targetsAre(pipeline, ['http://10.0.0.1'])
    await watching(api)

    api.token = 'second'
    api.cutWatches()
    await failureIs(pipeline, new RegExp(`^401: the API server does not accept the token in ${folder}$`))
    writeFileSync(join(folder, 'token'), 'second\n')

    await until(() => failureOf(pipeline) === null, { what: 'the new token is used' })
    api.set(slice('orders-a', ['10.0.0.2']))
    await targetsAre(pipeline, ['http://10.0.0.2'])
  })

  it('are not sent to a server of another authority', async () => {
    const api = await startApiServer(createAuthority('Stranger').issue('localhost'))
    const folder = credentials({ token: 'secret', 'ca.crt': createAuthority('Cluster').cert, namespace: 'shop' })
    const server = api.url.replace('127.0.0.1', 'localhost')
    const pipeline = await startPipeline(discovering(api, {}, { kubernetes: { server, credentials: folder } }))
    await failureIs(pipeline, /^the API server does not answer \((?:UNABLE|CERT|SELF|DEPTH)/)
    assert.deepEqual(api.requests, [])
  })

  it('that are not there, or not one line, are named', async () => {
    const api = await startApiServer(createAuthority('Cluster').issue('localhost'))
    const folder = credentials({})
    const kubernetes = { server: api.url, credentials: folder }
    const pipeline = await startPipeline(discovering(api, {}, { kubernetes }))
    await failureIs(
      pipeline,
      new RegExp(`^there is no token in ${folder}: the pod needs automountServiceAccountToken$`),
    )
    writeFileSync(join(folder, 'token'), 'two\nlines')
    await failureIs(pipeline, /token is not one line of text$/)
    rmSync(folder, { recursive: true })
    const nameless = { kubernetes: 'orders', namespace: undefined }
    const other = await startPipeline(discovering(api, nameless, { kubernetes }))
    await failureIs(other, new RegExp(`^there is no ${folder}/namespace: add "namespace" to the target$`))
  })

  it('without the permission are refused with the Role that is missing', async () => {
    const api = await startApiServer()
    api.refusal = {
      status: 403,
      message:
        'endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:shop:gw" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "shop"',
    }
    const pipeline = await startPipeline(discovering(api))
    await failureIs(
      pipeline,
      /^403: system:serviceaccount:shop:gw may not list endpointslices in namespace shop: it needs a Role with get, list and watch on endpointslices in the API group discovery\.k8s\.io$/,
    )
  })

  it('with a Role that has no watch are a failure that stays, and is said once', async () => {
    const api = await startApiServer()
    api.set(slice('orders-a', ['10.0.0.1']))
    api.refusal = { status: 403, message: 'User "gw" cannot watch resource "endpointslices"' }
    api.refusesOnlyWatches = true
    const pipeline = await startPipeline(discovering(api))
    await failureIs(pipeline, /^403: gw may not watch endpointslices in namespace shop/)
    assert.deepEqual(targetsOf(pipeline), ['http://10.0.0.1'])
    const asked = api.requests.length

    await until(() => api.requests.length > asked + 2, { what: 'it tries again' })

    assert.equal(lists(api), 1)
    assert.match(failureOf(pipeline) ?? '', /may not watch/)
    const said = pipeline.logs.filter(({ msg }) => /cannot be found|found again/.test(String(msg)))
    assert.equal(said.length, 1)
  })

  it('are not looked for outside of a cluster', async () => {
    const file = proxyTo('', { upstream: { targets: [SOURCE], discovery: { refresh: '50ms' } } })
    const pipeline = await startPipeline(file)
    await failureIs(pipeline, /^not in a cluster \(no KUBERNETES_SERVICE_HOST\): .* set discovery\.kubernetes\.server$/)
  })
})

describe('Kubernetes targets in gateway.yaml', () => {
  it('have defaults', () => {
    const [upstream] = configOf(proxyTo('', { upstream: { targets: [{ kubernetes: 'orders' }] } })).upstreams
    assert.deepEqual(upstream?.discovery, {
      sources: [{ kind: 'kubernetes', service: 'orders', namespace: undefined, port: undefined, scheme: 'http' }],
      resolvers: undefined,
      refreshMs: 10_000,
    })
    const more = { kubernetes: 'orders', port: 'https' }
    const [secure] = configOf(proxyTo('', { upstream: { targets: [more] } })).upstreams
    const [source] = secure?.discovery?.sources ?? []
    assert.equal(source?.kind === 'kubernetes' && source.scheme, 'https')
  })

  const problemsOf = (upstream: object): string => {
    const { problems } = parseGatewayFile(JSON.stringify(proxyTo('', { upstream })), 'gateway.yaml', {})
    return problems
      .map(({ where, problem, allowed, nearest }) => `${where}: ${problem}; ${allowed}; ${nearest}`)
      .join('\n')
  }

  for (const [target, problem] of [
    [
      { kubernetes: 'orders.shop.svc' },
      /not the name of a Service; lower-case.*; \{ kubernetes: orders, namespace: shop \}/,
    ],
    [{ kubernetes: 'http://orders' }, /has a kubernetes that is not the name of a Service/],
    [{ kubernetes: '' }, /has a kubernetes that is not the name of a Service/],
    [{ kubernetes: 'orders', namespace: 'Shop' }, /has a namespace that is not a name; lower-case letters/],
    [{ kubernetes: 'orders', port: 0 }, /has a port that is neither a name nor a number of a port; the name of a port/],
    [{ kubernetes: 'orders', port: 'http web' }, /has a port that is neither/],
    [{ kubernetes: 'orders', scheme: 'h2c' }, /neither http nor https; http, https/],
    [{ kubernetes: 'orders', weight: 2 }, /has "weight" beside "kubernetes"/],
  ] as const) {
    it(`refuses ${JSON.stringify(target)} with its position`, () => {
      const text = problemsOf({ targets: [target] })
      assert.match(text, problem)
      assert.match(text, /^gateway\.yaml:1:\d+/)
    })
  }

  it('refuses a Service that appears twice, a wrong scheme, and an API server without TLS', () => {
    const target = { kubernetes: 'orders' }
    assert.match(problemsOf({ targets: [target, target] }), /appears twice/)
    assert.match(problemsOf({ targets: [target], protocol: 'h2' }), /has no TLS/)
    const discovery = { kubernetes: { server: 'http://10.96.0.1:8080' } }
    assert.match(problemsOf({ targets: [target], discovery }), /has no TLS; https, or http on this machine/)
  })
})

const TERMINATING = { ready: false, serving: true, terminating: true }

function on({ port }: RunningUpstream): { ports: object[] } {
  return { ports: [{ name: 'http', port, protocol: 'TCP' }] }
}

function discovering(api: ScriptedApiServer, source: object = {}, discovery: object = {}): GatewayFile {
  const how = { refresh: '20ms', kubernetes: { server: api.url }, ...discovery }
  return proxyTo('', { upstream: { targets: [{ ...SOURCE, ...source }], discovery: how } })
}

function credentials(files: Readonly<Record<string, string>>): string {
  const folder = join(temporaryFolder(), 'serviceaccount')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** Two servers on one port and two addresses. */
async function sameportUpstreams(): Promise<[RunningUpstream, RunningUpstream]> {
  const one = await startUpstream((_request, response) => response.end('one'))
  const two = await startUpstream((_request, response) => response.end('two'), { port: one.port, host: '127.0.0.2' })
  return [one, two]
}

function lists({ requests }: ScriptedApiServer): number {
  return requests.filter(path => !path.includes('watch=true')).length
}

function versionOf(path: string | undefined): number {
  return Number(new URL(path ?? '', 'http://api').searchParams.get('resourceVersion'))
}

async function watching(api: ScriptedApiServer): Promise<void> {
  await until(() => api.watches === 1, { what: 'the gateway watches' })
}

async function bodiesOf({ url }: Pipeline, count: number): Promise<string[]> {
  const bodies: string[] = []
  for (let i = 0; i < count; i++) bodies.push(await (await fetch(`${url}/app`)).text())
  return bodies
}

function targetsOf(pipeline: Pipeline): string[] {
  return pipeline.upstreams()[0]?.targets.map(({ target }) => target) ?? []
}

async function targetsAre(pipeline: Pipeline, wanted: readonly string[]): Promise<void> {
  await until(() => targetsOf(pipeline).join() === wanted.join(), { what: `the targets are ${wanted.join(', ')}` })
}

function failureOf(pipeline: Pipeline): string | null | undefined {
  return pipeline.upstreams()[0]?.sources?.[0]?.lastFailure
}

async function failureIs(pipeline: Pipeline, wanted: RegExp): Promise<void> {
  await until(() => wanted.test(failureOf(pipeline) ?? ''), {
    what: `the failure is ${String(wanted)}`,
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${failureOf(pipeline)}`, { cause: error })
  })
}
