import assert from 'node:assert/strict'
import { writeFile, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { forgetEndedTargets } from '../../src/upstream/ended-targets'
import { createAuthority } from '../support/certificates'
import { startNameServer } from '../support/start-name-server'
import { configOf, proxyTo, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const REFRESH = '50ms'

describe('targets by the addresses of a name', () => {
  it('spreads over all addresses, as that name', async () => {
    const [one, two] = await sameportUpstreams()
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1', '127.0.0.2'] } })
    const pipeline = await startPipeline(discovering({ dns: `http://orders.test:${one.port}` }, names.address))
    await targetsAre(pipeline, [`http://127.0.0.1:${one.port}`, `http://127.0.0.2:${one.port}`])

    const bodies = await bodiesOf(pipeline, 4)

    assert.deepEqual(bodies.toSorted(), ['one', 'one', 'two', 'two'])
    assert.equal(one.requests[0]?.headers.host, `orders.test:${one.port}`)
    assert.equal(two.requests[0]?.headers.host, `orders.test:${one.port}`)
  })

  it('takes an address that joins, drains one that leaves, and keeps the state of the others', async () => {
    const [one, two] = await sameportUpstreams()
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] } })
    const pipeline = await startPipeline(discovering({ dns: `http://orders.test:${one.port}` }, names.address))
    await targetsAre(pipeline, [`http://127.0.0.1:${one.port}`])
    const connections = await countingConnections(one)
    await bodiesOf(pipeline, 2)
    let answer: (() => void) | undefined
    one.handler = (_request, response) => (answer = () => response.end('late'))
    const late = fetch(`${pipeline.url}/app`)
    await until(() => answer !== undefined, { what: 'the request is with the upstream' })

    names.records.set('orders.test', { a: ['127.0.0.1', '127.0.0.2'] })
    await targetsAre(pipeline, [`http://127.0.0.1:${one.port}`, `http://127.0.0.2:${one.port}`])
    assert.equal(activeCallsOf(pipeline, `http://127.0.0.1:${one.port}`), 1)
    names.records.set('orders.test', { a: ['127.0.0.2'] })
    await targetsAre(pipeline, [`http://127.0.0.2:${one.port}`])

    assert.deepEqual(await bodiesOf(pipeline, 2), ['two', 'two'])
    answer?.()
    assert.equal(await (await late).text(), 'late')
    assert.ok(connections() <= 1, 'no further connection to a target that stayed')
    assert.equal(two.requests.length, 2)
  })

  it('removes the series of an address that left, after its last call, and not of one that came back', async () => {
    const forgotten: unknown[] = []
    forgetEndedTargets(({ 'server.address': address }) => forgotten.push(address), 50)
    try {
      const [one] = await sameportUpstreams()
      const all = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']
      const names = await startNameServer({ 'orders.test': { a: all } })
      const pipeline = await startPipeline(discovering({ dns: `http://orders.test:${one.port}` }, names.address))
      const become = async (addresses: readonly string[]): Promise<void> => {
        names.records.set('orders.test', { a: [...addresses] })
        await targetsAre(
          pipeline,
          addresses.map(address => `http://${address}:${one.port}`),
        )
      }
      await targetsAre(
        pipeline,
        all.map(address => `http://${address}:${one.port}`),
      )
      let answer: (() => void) | undefined
      one.handler = (_request, response) => (answer ??= () => response.end('late'))
      const late = fetch(`${pipeline.url}/app`)
      await until(() => answer !== undefined, { what: 'the request is with the first address' })

      await become(['127.0.0.2'])
      await become(['127.0.0.2', '127.0.0.3'])
      await until(() => forgotten.length > 0, { what: 'the series of 127.0.0.4 are gone' })
      assert.deepEqual(forgotten, ['127.0.0.4'])

      answer?.()
      assert.equal(await (await late).text(), 'late')
      await until(() => forgotten.length === 2, { what: 'the series of 127.0.0.1 are gone' })
      assert.deepEqual(forgotten, ['127.0.0.4', '127.0.0.1'])
    } finally {
      forgetEndedTargets(undefined)
    }
  })

  it('keeps an ejection while other targets come and go', async () => {
    const [one] = await sameportUpstreams()
    one.handler = (_request, response) => response.writeHead(500).end()
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1', '127.0.0.2'] } })
    const ejection = { failures: 1, for: '1h' }
    const file = discovering({ dns: `http://orders.test:${one.port}` }, names.address, { ejection })
    const pipeline = await startPipeline(file)
    await targetsAre(pipeline, [`http://127.0.0.1:${one.port}`, `http://127.0.0.2:${one.port}`])
    await until(
      async () => {
        await fetch(`${pipeline.url}/app`)
        return isOut(pipeline, `http://127.0.0.1:${one.port}`)
      },
      { what: 'the failing target is ejected' },
    )

    names.records.set('orders.test', { a: ['127.0.0.1', '127.0.0.2', '127.0.0.3'] })
    await until(() => targetsOf(pipeline).length === 3, { what: 'the third target is there' })

    assert.ok(isOut(pipeline, `http://127.0.0.1:${one.port}`))
  })

  it('verifies certificates for the name, not for the address', async () => {
    const authority = createAuthority('Test Authority')
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'ca.pem'), authority.cert)
    const { cert, key } = authority.issue('orders.test')
    const seen: unknown[] = []
    const server = createServer({ cert, key }, (request, response) => {
      seen.push((request.socket as TLSSocket).servername)
      response.end(request.headers.host)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] } })
    const more = { tls: { ca: join(folder, 'ca.pem') }, healthCheck: { path: '/health', interval: '20ms' } }
    const pipeline = await startPipeline(discovering({ dns: `https://orders.test:${port}` }, names.address, more))
    await targetsAre(pipeline, [`https://127.0.0.1:${port}`])
    try {
      assert.deepEqual(await bodiesOf(pipeline, 1), [`orders.test:${port}`])
      await until(() => seen.length > 1, { what: 'a health check has passed' })
      assert.deepEqual([...new Set(seen)], ['orders.test'])
    } finally {
      await pipeline.stop()
      server.close()
      server.closeAllConnections()
    }
  })

  it('keeps the last good answer while the name has no records or the server is away', async () => {
    const [one] = await sameportUpstreams()
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] } })
    const pipeline = await startPipeline(discovering({ dns: `http://orders.test:${one.port}` }, names.address))
    await targetsAre(pipeline, [`http://127.0.0.1:${one.port}`])

    names.records.delete('orders.test')
    await until(() => failureOf(pipeline) === 'ENOTFOUND', { what: 'the failure is shown' })

    assert.deepEqual(await bodiesOf(pipeline, 1), ['one'])
    const warnings = (): number =>
      pipeline.logs.filter(({ msg }) => /cannot be found: those before stay/.test(String(msg))).length
    const asked = names.questions.length
    await until(() => names.questions.length > asked + 3, { what: 'it asks again' })
    assert.equal(warnings(), 1, 'one line for the outage')
    names.records.set('orders.test', { a: ['127.0.0.1'] })
    await until(() => failureOf(pipeline) === null, { what: 'the name is found again' })
    assert.ok(pipeline.logs.some(({ msg }) => /found again/.test(String(msg))))
  })

  it('asks no sooner than the time to live says, and at the latest after refresh', async () => {
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'], ttl: 3_600 } })
    const pipeline = await startPipeline(discovering({ dns: 'http://orders.test:1' }, names.address))
    await until(() => names.questions.length > 4, { what: 'refresh bounds a long time to live' })
    await pipeline.stop()
    const slow = discovering({ dns: 'http://orders.test:1' }, names.address, {}, '1h')
    const other = await startPipeline(slow)
    await targetsAre(other, ['http://127.0.0.1:1'])
    const asked = names.questions.length
    await bodiesOf(other, 3)
    assert.equal(names.questions.length, asked)
  })

  it('has no target until the name is known: 503, and the page says why', async () => {
    const names = await startNameServer({})
    const pipeline = await startPipeline(discovering({ dns: 'http://orders.test:1' }, names.address))
    await until(() => failureOf(pipeline) === 'ENOTFOUND', { what: 'the failure is shown' })

    const response = await fetch(`${pipeline.url}/app`)

    assert.equal(response.status, 503)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.match(await response.text(), /no_healthy_upstream/)
  })
})

describe('targets by SRV records', () => {
  it('uses ports, weights and names of the records', async () => {
    const [one, two] = [await named('one'), await named('two')]
    const names = await startNameServer({
      '_http._tcp.orders.test': {
        srv: [
          { priority: 10, weight: 3, port: one.port, name: 'a.orders.test' },
          { priority: 10, weight: 1, port: two.port, name: 'b.orders.test' },
        ],
      },
      'a.orders.test': { a: ['127.0.0.1'] },
      'b.orders.test': { a: ['127.0.0.1'] },
    })
    const pipeline = await startPipeline(discovering({ srv: '_http._tcp.orders.test' }, names.address))
    await until(() => targetsOf(pipeline).length === 2, { what: 'both servers are there' })

    const bodies = await bodiesOf(pipeline, 8)

    assert.equal(bodies.filter(body => body === 'one').length, 6)
    assert.equal(one.requests[0]?.headers.host, `a.orders.test:${one.port}`)
    assert.equal(two.requests[0]?.headers.host, `b.orders.test:${two.port}`)
  })

  it('asks servers of a higher number only while none of a lower number is available', async () => {
    const [one, two] = [await named('one'), await named('two')]
    const names = await startNameServer({
      '_http._tcp.orders.test': {
        srv: [
          { priority: 1, weight: 1, port: one.port, name: 'a.orders.test' },
          { priority: 2, weight: 1, port: two.port, name: 'a.orders.test' },
        ],
      },
      'a.orders.test': { a: ['127.0.0.1'] },
    })
    const pipeline = await startPipeline(discovering({ srv: '_http._tcp.orders.test' }, names.address))
    await until(() => targetsOf(pipeline).length === 2, { what: 'both servers are there' })
    assert.deepEqual([...new Set(await bodiesOf(pipeline, 4))], ['one'])

    await one.stop()
    await until(async () => (await bodiesOf(pipeline, 1))[0] === 'two', { what: 'the reserve answers' })

    assert.deepEqual([...new Set(await bodiesOf(pipeline, 4))], ['two'])
  })

  it('follows servers that change and vanish', async () => {
    const [one, two] = [await named('one'), await named('two')]
    const record = ({ port }: RunningUpstream) => ({ priority: 1, weight: 0, port, name: 'a.orders.test' })
    const names = await startNameServer({
      '_http._tcp.orders.test': { srv: [record(one)] },
      'a.orders.test': { a: ['127.0.0.1'] },
    })
    const pipeline = await startPipeline(discovering({ srv: '_http._tcp.orders.test' }, names.address))
    await targetsAre(pipeline, [one.url])
    names.records.set('_http._tcp.orders.test', { srv: [record(two)] })
    await targetsAre(pipeline, [two.url])
    names.records.delete('_http._tcp.orders.test')
    await until(() => failureOf(pipeline) === 'ENOTFOUND', { what: 'the failure is shown' })
    assert.deepEqual(await bodiesOf(pipeline, 1), ['two'])
  })
})

describe('targets by a file', () => {
  it('follows the file; bad content keeps the old list', async () => {
    const [one, two] = [await named('one'), await named('two')]
    const path = join(temporaryFolder(), 'targets.yaml')
    await writeFile(path, `- ${one.url}\n`)
    const pipeline = await startPipeline(discovering({ file: path }))
    assert.deepEqual(targetsOf(pipeline), [one.url])

    await writeFile(path, JSON.stringify([{ url: two.url, weight: 2 }]))
    await targetsAre(pipeline, [two.url])
    for (const [bad, why] of [
      ['', /not a list/],
      ['- http://127.0.0.1:9001/path\n', /entry 1 that has a path/],
      ['[', /not YAML/],
      [`- ${one.url}\n- ${one.url}\n`, /twice/],
    ] as const) {
      await writeFile(path, bad)
      await until(() => why.test(failureOf(pipeline) ?? ''), { what: `${why} is shown` })
      assert.deepEqual(await bodiesOf(pipeline, 1), ['two'])
    }
    await rm(path)
    await until(() => /ENOENT/.test(failureOf(pipeline) ?? ''), { what: 'the loss of the file is shown' })
    assert.deepEqual(await bodiesOf(pipeline, 1), ['two'])
    await writeFile(path, `- ${two.url}\n- ${one.url}\n`)
    await targetsAre(pipeline, [two.url, one.url])
    assert.equal(failureOf(pipeline), null)
  })

  it('keeps what it found over a reload that leaves the upstream as it is', async () => {
    const one = await named('one')
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] } })
    const file = discovering({ dns: `http://orders.test:${one.port}` }, names.address, {}, '1h')
    const pipeline = await startPipeline(file)
    await targetsAre(pipeline, [one.url])
    const asked = names.questions.length

    pipeline.reload({ ...file, routes: [...file.routes, { name: 'b', match: { path: '/b' }, upstream: 'app' }] })

    assert.deepEqual(targetsOf(pipeline), [one.url])
    assert.equal(await (await fetch(`${pipeline.url}/b`)).text(), 'one')
    assert.equal(names.questions.length, asked)
  })
})

describe('sources of targets in gateway.yaml', () => {
  const problemsOf = (upstream: object): string => {
    const { problems } = parseGatewayFile(JSON.stringify(proxyTo('', { upstream })), 'gateway.yaml', {})
    return problems.map(({ where, problem, allowed }) => `${where}: ${problem}; ${allowed}`).join('\n')
  }

  it('have defaults, and no effect on other upstreams', () => {
    const { upstreams } = configOf({
      upstreams: {
        fixed: { targets: ['http://127.0.0.1:1'] },
        found: { targets: ['http://127.0.0.1:1', { srv: '_https._tcp.orders.test' }] },
      },
      routes: [
        { name: 'a', match: { path: '/a' }, upstream: 'fixed' },
        { name: 'b', match: { path: '/b' }, upstream: 'found' },
      ],
    })
    assert.equal(upstreams[0]?.discovery, undefined)
    const sources = [{ kind: 'srv', name: '_https._tcp.orders.test', scheme: 'https' }]
    assert.deepEqual(upstreams[1]?.discovery, { sources, resolvers: undefined, refreshMs: 10_000 })
    assert.deepEqual(upstreams[1]?.targets, [{ origin: 'http://127.0.0.1:1', weight: 1 }])
  })

  for (const [target, problem] of [
    [{ dns: 'http://10.0.0.1:80' }, /has a dns that is an address/],
    [{ dns: 'orders.test:80' }, /has a dns that has no scheme/],
    [{ dns: 'http://orders.test', weight: 2 }, /has "weight" beside "dns"/],
    [{ srv: 'http://orders.test' }, /has a srv that is not a name; the name of SRV records, such as/],
    [{ srv: '_http._tcp.orders.test', scheme: 'h2' }, /neither http nor https; http, https/],
    [{ file: '/no/such/targets.yaml' }, /names "\/no\/such\/targets.yaml", which is not there/],
    [{ file: 7 }, /has a file that is not a path/],
    [{ names: 'x' }, /is not a target; .*\{ srv: _http/],
  ] as const) {
    it(`refuses ${JSON.stringify(target)} with its position`, () => {
      const text = problemsOf({ targets: [target] })
      assert.match(text, problem)
      assert.match(text, /^gateway\.yaml:1:\d+/)
    })
  }

  it('refuses a source that appears twice, a wrong scheme and a bad resolver', () => {
    const dns = { dns: 'http://orders.test' }
    assert.match(problemsOf({ targets: [dns, dns] }), /appears twice/)
    assert.match(problemsOf({ targets: [dns], protocol: 'h2' }), /has no TLS/)
    assert.match(problemsOf({ targets: [dns], discovery: { resolvers: ['ns.test'] } }), /not the address of a server/)
  })
})

/** Two servers on one port and two addresses. */
async function sameportUpstreams(): Promise<[RunningUpstream, RunningUpstream]> {
  const one = await named('one')
  const two = await startUpstream((_request, response) => response.end('two'), { port: one.port, host: '127.0.0.2' })
  return [one, two]
}

async function named(name: string): Promise<RunningUpstream> {
  return startUpstream((_request, response) => response.end(name))
}

function discovering(source: object, resolver?: string, upstream: object = {}, refresh = REFRESH): GatewayFile {
  const discovery = resolver === undefined ? {} : { discovery: { resolvers: [resolver], refresh } }
  return proxyTo('', { upstream: { targets: [source], ...discovery, ...upstream } })
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

function activeCallsOf(pipeline: Pipeline, wanted: string): number | undefined {
  return pipeline.upstreams()[0]?.targets.find(({ target }) => target === wanted)?.activeCalls
}

function isOut(pipeline: Pipeline, wanted: string): boolean {
  return pipeline.upstreams()[0]?.targets.find(({ target }) => target === wanted)?.healthy === false
}

async function countingConnections({ server }: RunningUpstream): Promise<() => number> {
  let count = 0
  server.on('connection', () => count++)
  return () => count
}
