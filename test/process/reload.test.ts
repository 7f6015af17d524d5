import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createAuthority, type Certificate } from '../support/certificates'
import { sampleValue, type ExposedFamily } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import type { LogEntry } from '../support/start-process'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'

/** All counters, series by series. */
function counters(families: ReadonlyMap<string, ExposedFamily>): Map<string, number> {
  const growing = [...families.values()].filter(({ type }) => type === 'counter' || type === 'histogram')
  const samples = growing.flatMap(family => family.samples)
  return new Map(samples.map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, value]))
}

const HAS_SIGHUP = process.platform !== 'win32'

describe('gateway.yaml, changed while the gateway runs,', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
  })
  after(async () => {
    await upstream.stop()
  })
  afterEach(async () => {
    await gateway.stop()
  })

  /** A configuration with one route for this path. */
  const file = (path: string, more: object = {}): string =>
    JSON.stringify(proxyTo(upstream.url, { route: { match: { path } }, ...more }), null, 2)
  const start = async (env: NodeJS.ProcessEnv = {}): Promise<void> => {
    gateway = await startGateway({ config: file('/one'), env })
  }
  const serves = async (path: string): Promise<boolean> => (await send(gateway.port, path)).status === 200
  const isServed = (path: string): Promise<unknown> => until(() => serves(path), { what: `${path} is served` })
  const lines = (): LogEntry[] => gateway.logs.filter(({ event }) => event === 'config')
  const reloaded = (result: string, times = 1): Promise<unknown> =>
    until(() => lines().filter(line => line['result'] === result).length === times, { what: `${times} × ${result}` })

  for (const [how, write] of [
    ['written in its place', (path: string, text: string) => writeFileSync(path, text)],
    [
      'replaced by another file, as editors do',
      (path: string, text: string) => {
        writeFileSync(`${path}.new`, text)
        renameSync(`${path}.new`, path)
      },
    ],
    [
      'removed and written again',
      (path: string, text: string) => {
        rmSync(path)
        writeFileSync(path, text)
      },
    ],
  ] as const) {
    it(`becomes the active configuration: ${how}`, async () => {
      await start()
      write(gateway.configFile, file('/two'))
      await isServed('/two')
      assert.equal(await serves('/one'), false)
    })
  }

  it('becomes active when a symbolic link to it changes, as in a Kubernetes ConfigMap', async () => {
    await start()
    const folder = dirname(gateway.configFile)
    const version = (name: string, path: string): void => {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'gateway.yaml'), file(path))
      symlinkSync(name, join(folder, '..data.new'))
      renameSync(join(folder, '..data.new'), join(folder, '..data'))
    }
    version('..1', '/two')
    rmSync(gateway.configFile)
    symlinkSync(join('..data', 'gateway.yaml'), gateway.configFile)
    await isServed('/two')
    version('..2', '/three')
    await isServed('/three')
  })

  it('becomes active when an included folder of a Kubernetes ConfigMap changes with its link', async () => {
    await start()
    const folder = dirname(gateway.configFile)
    const version = (name: string, path: string): void => {
      mkdirSync(join(folder, name, 'routes.d'), { recursive: true })
      writeFileSync(join(folder, name, 'gateway.yaml'), file('/one', { include: ['routes.d'] }))
      const routes = [{ name: 'included', match: { path }, upstream: 'app' }]
      writeFileSync(join(folder, name, 'routes.d', 'a.yaml'), JSON.stringify({ routes }))
      symlinkSync(name, join(folder, '..data.new'))
      renameSync(join(folder, '..data.new'), join(folder, '..data'))
    }
    version('..1', '/two')
    symlinkSync(join('..data', 'routes.d'), join(folder, 'routes.d'))
    rmSync(gateway.configFile)
    symlinkSync(join('..data', 'gateway.yaml'), gateway.configFile)
    await isServed('/two')
    version('..2', '/three')
    await isServed('/three')
    assert.equal(await serves('/two'), false)
  })

  it('becomes active when an included file changes, also one that was wrong at first, and when a file is added', async () => {
    await start()
    const folder = dirname(gateway.configFile)
    const routes = (path: string): string =>
      JSON.stringify({ routes: [{ name: path.slice(1), match: { path }, upstream: 'app' }] })
    mkdirSync(join(folder, 'conf.d'))
    writeFileSync(join(folder, 'conf.d', 'a.yaml'), 'routes: [')
    writeFileSync(gateway.configFile, file('/one', { include: ['conf.d'] }))
    await reloaded('refused')
    writeFileSync(join(folder, 'conf.d', 'a.yaml'), routes('/two'))
    await isServed('/two')
    writeFileSync(join(folder, 'conf.d', 'b.yaml'), routes('/three'))
    await isServed('/three')
    rmSync(join(folder, 'conf.d', 'a.yaml'))
    await until(async () => !(await serves('/two')), { what: '/two is no longer served' })
    assert.equal(await serves('/one'), true)
  })

  it('has its changes logged line by line', async () => {
    await start()
    writeFileSync(gateway.configFile, file('/two', { entrypoint: { maxConnections: 50 } }))
    await reloaded('success')
    assert.deepEqual(
      lines().map(({ level, msg }) => [level, msg]),
      [
        ['info', 'entrypoint changed: maxConnections added: 50'],
        ['info', 'route "app" changed: match.path /one → /two'],
        ['info', 'new configuration is active'],
      ],
    )
    assert.deepEqual([lines().at(-1)?.['cause'], lines().at(-1)?.['changes']], ['file', 2])
  })

  it('is refused with all of its mistakes reported, and the previous configuration stays active', async () => {
    await start()
    const upstreamMistakes = { balance: 'rond-robin', panicThreshold: 101 }
    const route = { auth: { apiKey: { header: 'x-api-key' } } } // admits no requests, which is not a mistake
    writeFileSync(gateway.configFile, file('/two', { upstream: upstreamMistakes, route }))
    await reloaded('refused')
    const said = lines().map(({ level, msg }) => `${String(level)} ${String(msg)}`)
    assert.equal(said.length, 4)
    assert.match(said[0]!, /^error .*gateway\.yaml:\d+:\d+ upstreams\.app\.balance: .*did you mean: round-robin/)
    assert.match(said[1]!, /^error .*gateway\.yaml:\d+:\d+ upstreams\.app\.panicThreshold: /)
    assert.match(said[2]!, /^warn .*allows no request/)
    assert.equal(said[3], 'error new configuration refused; the previous one stays active')
    assert.equal(lines().at(-1)?.['problems'], 2)
    assert.equal(await serves('/one'), true)

    writeFileSync(gateway.configFile, file('/one'))
    await reloaded('success')
  })

  it('leaves the previous configuration active when it is deleted', async () => {
    await start()
    rmSync(gateway.configFile)
    await reloaded('refused')
    assert.match(String(lines()[0]?.['msg']), /gateway\.yaml: there is no such file/)
    assert.equal(await serves('/one'), true)
  })

  it('is shown by the reload metrics', async () => {
    await start()
    const values = async (): Promise<unknown[]> => {
      const seen = await scrape(gateway.opsUrl)
      const reloads = (result: string): unknown =>
        sampleValue(seen, 'gateway_config_reloads_total', { gateway_config_result: result })
      const isWell = sampleValue(seen, 'gateway_config_last_reload_successful', {})
      return [isWell, reloads('success'), reloads('refused')]
    }
    const family = async (name: string): Promise<{ labels: object; value: number }[]> => {
      const found = (await scrape(gateway.opsUrl)).get(name)
      return (found?.samples ?? []).map(({ labels, value }) => ({ labels, value }))
    }
    const time = async (): Promise<number> =>
      (await family('gateway_config_last_reload_success_timestamp_seconds'))[0]?.value ?? 0
    assert.deepEqual(await values(), [1, 0, 0])
    const [startedAt, [before]] = [await time(), await family('gateway_config_info')]
    assert.ok(Math.abs(startedAt - Date.now() / 1_000) < 60)

    writeFileSync(gateway.configFile, 'routes: nothing')
    await reloaded('refused')
    assert.deepEqual([await values(), await time()], [[0, 0, 1], startedAt])
    assert.deepEqual(await family('gateway_config_info'), [before])

    const other = {
      upstreams: { other: { targets: [upstream.url] } },
      routes: [{ name: 'o', match: { path: '/o' }, upstream: 'other' }],
    }
    writeFileSync(gateway.configFile, JSON.stringify(other))
    await reloaded('success')
    assert.deepEqual(await values(), [1, 1, 1])
    assert.ok((await time()) > startedAt)
    const [after, ...others] = await family('gateway_config_info')
    assert.deepEqual(others, [])
    assert.notDeepEqual(after?.labels, before?.labels)
    for (const name of ['target_healthy', 'target_active_requests', 'panic']) {
      const names = (await family(`gateway_upstream_${name}`)).map(({ labels }) =>
        Reflect.get(labels, 'gateway_upstream_name'),
      )
      assert.deepEqual(names, ['other'], 'of an upstream that is gone nothing is told')
    }
  })

  it('is shown on the ops port: the active routes, and the result of the last file', async () => {
    await start()
    const json = async (path: string): Promise<unknown> => (await fetch(gateway.opsUrl + path)).json()
    const paths = async (): Promise<string[]> => {
      return ((await json('/routes')) as { routes: { path: string }[] }).routes.map(({ path }) => path)
    }
    const status = async (): Promise<OpsStatus> => (await json('/status')) as OpsStatus
    const first = await status()
    assert.deepEqual([first.status, first.configuration.lastReload, await paths()], ['ok', undefined, ['/one']])

    writeFileSync(gateway.configFile, file('/two'))
    await isServed('/two')
    await reloaded('success')
    const second = await status()
    assert.deepEqual(await paths(), ['/two'])
    assert.notEqual(second.configuration.sha256, first.configuration.sha256)
    assert.ok(second.configuration.since > first.configuration.since)
    assert.equal(second.configuration.lastReload?.isRefused, false)
    const known = second.traffic.routes.filter(({ route }) => route !== null)
    assert.deepEqual(
      known.map(({ path }) => path),
      ['/two'],
    )

    writeFileSync(gateway.configFile, 'routes: nothing')
    await reloaded('refused')
    const third = await status()
    assert.deepEqual([third.status, third.configuration.lastReload?.isRefused], ['attention', true])
    assert.match(third.configuration.lastReload?.details?.[0] ?? '', /"upstreams" is missing/)
    const { reloads } = (await json('/reloads')) as { reloads: { isRefused: boolean; details: string[] }[] }
    assert.deepEqual(
      reloads.map(({ isRefused }) => isRefused),
      [false, true],
    )
    assert.match(reloads[0]?.details.join() ?? '', /match\.path \/one → \/two/)
    assert.equal(third.configuration.sha256, second.configuration.sha256)
    assert.deepEqual(await paths(), ['/two'])
  })

  it('changes the header size limit without a restart', async () => {
    await start()
    const large = { path: '/nowhere', headers: { 'x-large': 'x'.repeat(20_000) } }
    assert.equal((await send(gateway.port, large)).status, 431)
    writeFileSync(gateway.configFile, file('/one', { entrypoint: { maxHeaderSize: '32KiB' } }))
    await reloaded('success')
    assert.equal((await send(gateway.port, large)).status, 404)
  })

  it('causes a log warning if it names other TLS files than those at the start', async () => {
    const authority = createAuthority('Test Authority')
    const tls = ({ certFile: cert, keyFile: key }: Certificate): { entrypoint: object } => ({
      entrypoint: { tls: { cert, key } },
    })
    const [one, other] = [authority.issue('localhost'), authority.issue('localhost')]
    gateway = await startGateway({ config: file('/one', tls(one)) })
    const warnings = (): unknown[] => lines().flatMap(({ level, msg }) => (level === 'warn' ? [msg] : []))
    const sentence = 'entrypoint.tls has changed: that takes effect with a restart'
    const slower = (certificate: Certificate): object => ({
      entrypoint: { ...tls(certificate).entrypoint, headersTimeout: '20s' },
    })
    const ofHandshakes = 'entrypoint.headersTimeout has changed: for TLS handshakes that takes effect with a restart'
    for (const [reload, entrypoint, expected] of [
      [1, tls(other), [sentence]],
      [2, tls(one), [sentence]],
      [3, slower(one), [sentence, ofHandshakes]],
    ] as const) {
      writeFileSync(gateway.configFile, file('/one', entrypoint))
      await reloaded('success', reload)
      assert.deepEqual(warnings(), expected)
      const all = 'new configuration is active'
      const but = reload === 2 ? '' : ', except settings that need a restart'
      assert.equal(lines().at(-1)?.['msg'], `${all}${but}`)
    }
  })

  it('causes a notice in log and status page for latency thresholds that need a restart', async () => {
    const promising = (threshold: string): string =>
      file('/one', { slo: { availability: 99.9, latency: { threshold, target: 99 } } })
    gateway = await startGateway({ config: promising('300ms') })
    await serves('/one')
    const boundaries = async (): Promise<(string | undefined)[]> =>
      ((await scrape(gateway.opsUrl)).get('http_server_request_duration_seconds')?.samples ?? [])
        .filter(({ labels }) => labels['http_route'] === '/one')
        .map(({ labels }) => labels['le'])
    const hash = async (): Promise<string | undefined> =>
      (await scrape(gateway.opsUrl)).get('gateway_slo_info')?.samples[0]?.labels['gateway_slo_hash']
    assert.ok((await boundaries()).includes('0.3'))
    const before = await hash()
    assert.match(before ?? '', /^[0-9a-f]{16}$/)
    writeFileSync(gateway.configFile, promising('350ms'))
    await reloaded('success')
    const sentence = 'slo has new latency thresholds (350ms): the duration is counted by them after a restart'
    assert.ok(lines().some(({ level, msg }) => level === 'warn' && msg === sentence))
    assert.equal((await boundaries()).includes('0.35'), false)
    assert.notEqual(await hash(), before)
    const status = await (await fetch(`${gateway.opsUrl}/status?format=html`)).text()
    assert.ok(status.includes(sentence))
  })

  if (HAS_SIGHUP) {
    it('is refused as a pipe, and accepted again as a file', async () => {
      await start()
      rmSync(gateway.configFile)
      execFileSync('mkfifo', [gateway.configFile])
      await reloaded('refused')
      assert.match(String(lines()[0]?.['msg']), /this is a pipe \(FIFO\) \(allowed: a regular file\)/)
      assert.equal(await serves('/one'), true)
      rmSync(gateway.configFile)
      writeFileSync(gateway.configFile, file('/two'))
      await isServed('/two')
    })

    it('is read only on SIGHUP if it is not watched', async () => {
      await start({ GATEWAY_CONFIG_WATCH: 'false' })
      writeFileSync(gateway.configFile, file('/two'))
      gateway.process.signal('SIGHUP')
      await reloaded('success')
      assert.equal(lines().at(-1)?.['cause'], 'SIGHUP')
      assert.equal(await serves('/two'), true)
    })

    it('becomes active a hundred times under load without a failed request, and counters only grow', async () => {
      const other = await startUpstream()
      const both = proxyTo('', { upstream: { targets: [upstream.url, other.url], retries: { attempts: 2 } } })
      const files = [proxyTo(upstream.url), both, proxyTo(other.url, { route: { timeouts: { response: '9s' } } })]
      gateway = await startGateway({ config: JSON.stringify(files[0]), env: { GATEWAY_CONFIG_WATCH: 'false' } })
      const load = startLoad(gateway.port, 4)
      let counted = new Map<string, number>()
      for (let reload = 1; reload <= 100; reload++) {
        writeFileSync(gateway.configFile, JSON.stringify(files[reload % files.length]))
        gateway.process.signal('SIGHUP')
        await reloaded('success', reload)
        if (reload % 20 > 0) continue
        const now = counters(await scrape(gateway.opsUrl))
        for (const [series, value] of counted) assert.ok((now.get(series) ?? 0) >= value, series)
        counted = now
      }
      await load.stop()
      await other.stop()
      assert.deepEqual(
        load.answers.filter(({ status, text }) => status !== 200 || text !== 'ok'),
        [],
      )
    }).timeout(60_000)

    it('is applied once when SIGHUP follows a change, and later changes are applied too', async () => {
      await start()
      writeFileSync(gateway.configFile, file('/two'))
      gateway.process.signal('SIGHUP')
      await reloaded('success')
      writeFileSync(gateway.configFile, file('/one'))
      await reloaded('success', 2)
      assert.deepEqual(
        lines().flatMap(({ cause }) => cause ?? []),
        ['SIGHUP', 'file'],
      )
      assert.equal(await serves('/one'), true)
    })

    it('is read on SIGHUP also when its content has not changed', async () => {
      await start()
      gateway.process.signal('SIGHUP')
      await reloaded('success')
      gateway.process.signal('SIGHUP')
      await reloaded('success', 2)
      assert.equal(lines().length, 2)
      assert.equal(await serves('/one'), true)
    })
  }
})

interface OpsStatus {
  readonly status: string
  readonly configuration: {
    readonly sha256: string
    readonly since: string
    readonly lastReload?: { readonly isRefused: boolean; readonly details?: readonly string[] }
  }
  readonly traffic: { readonly routes: readonly { readonly route: string | null; readonly path: string | null }[] }
}
