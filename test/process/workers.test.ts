import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { RULES } from '../../otel/sdk/exposition/gauge-rules'
import { questionOf } from '../../src/workers/merged-sources'
import { sampleValue } from '../support/exposition'
import { listTraces, openTrace, scrape, withExemplars } from '../support/ops-port'
import { OtlpReceiver } from '../support/otlp-receiver'
import { send, type Answer } from '../support/send'
import { launchGateway, startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

interface StatusJson {
  readonly status: string
  readonly concerns: readonly { readonly text: string }[]
  readonly traffic: { readonly all: { readonly requests: number; readonly faults: number } }
  readonly workers: {
    readonly wanted: number
    readonly restarts: number
    readonly running: readonly { readonly pid: number; readonly isListening: boolean }[]
  }
}

describe('a gateway with two workers', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway
  /** Responses of the upstream to `/app/slow`, not ended yet. */
  let pending: ServerResponse[] = []

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url?.endsWith('/slow')) return void pending.push(response)
      response.statusCode = request.url?.endsWith('/fail') ? 500 : 200
      response.end('done')
    })
  })
  after(() => upstream.stop())
  afterEach(async () => {
    for (const response of pending) response.destroy()
    pending = []
    await gateway.kill()
  })

  async function start(env: NodeJS.ProcessEnv = {}, route: object = {}): Promise<void> {
    gateway = await startGateway({ config: file('/app', route), env: { WORKERS: '2', ...env } })
  }
  const file = (path: string, route: object = {}): string =>
    JSON.stringify(proxyTo(upstream.url, { route: { match: { path }, ...route } }))
  const status = async (): Promise<StatusJson> => (await (await fetch(`${gateway.opsUrl}/status`)).json()) as StatusJson
  /** Each request has a connection of its own, and the primary hands connections out in turn. */
  const sendMany = async (count: number, path = '/app'): Promise<Answer[]> => {
    const answers: Answer[] = []
    for (let i = 0; i < count; i++) answers.push(await send(gateway.port, path))
    return answers
  }
  const requests = async (labels: Record<string, string>): Promise<number | undefined> =>
    sampleValue(await scrape(gateway.opsUrl), 'gateway_requests_total', labels)

  it('adds up what they counted, and opens the traces and exemplars of both', async () => {
    await start()
    await sendMany(10)
    await sendMany(4, '/app/fail')
    await until(async () => (await requests({ gateway_outcome: 'ok' })) === 10, { what: 'all are counted' })

    const families = await scrape(gateway.opsUrl)
    assert.equal(sampleValue(families, 'gateway_requests_total', { gateway_reason: 'upstream_5xx' }), 4)
    const count = 'http_server_request_duration_seconds_count'
    assert.equal(sampleValue(families, count, { http_response_status_code: '200' }), 10)
    assert.equal(families.get('target')?.samples.length, 1)
    assert.equal(sampleValue(families, 'gateway_worker_listening'), 2)
    assert.equal(sampleValue(families, 'gateway_worker_restarts_total'), 0)
    const exemplars = withExemplars(families)
    assert.ok(exemplars.length > 0)
    for (const { exemplar } of exemplars) {
      assert.ok(await openTrace(gateway.opsUrl, exemplar.labels['trace_id'] as string), 'an exemplar can be opened')
    }

    const known = Object.keys(RULES).map(name => name.replaceAll('.', '_'))
    const gauges = [...families.values()].filter(({ type }) => type === 'gauge').map(({ name }) => name)
    assert.ok(gauges.length > 15)
    assert.deepEqual(
      gauges.filter(name => !known.includes(name) && !known.includes(name.replace(/_(?:seconds|bytes|ratio)$/, ''))),
      [],
      'each gauge has a rule',
    )

    const traces = await listTraces(gateway.opsUrl, 'outcome=fault')
    assert.equal(traces.length, 4)
    const hits = upstream.requests.length
    assert.ok(hits >= 14)
    const { traffic, status: state, workers } = await status()
    assert.deepEqual([traffic.all.requests, traffic.all.faults, state], [14, 4, 'attention'])
    assert.deepEqual([workers.wanted, workers.running.length], [2, 2])

    const summary = (await (await fetch(`${gateway.opsUrl}/summary`)).json()) as { traffic: { requests: number } }
    assert.equal(summary.traffic.requests, 14)
    const { endpoints } = (await (await fetch(gateway.opsUrl)).json()) as { endpoints: string[] }
    assert.deepEqual(
      endpoints.filter(path => questionOf(path, path, 2) === undefined),
      ['/', '/routes', '/metrics', '/reloads', '/livez', '/readyz'],
      'the primary knows these alone; the workers are asked for all others',
    )

    const scraped = await send(gateway.port, '/metrics')
    assert.match(scraped.text, /^gateway_requests_total\{gateway_outcome="ok".*\} 10$/m)
  })

  it('gives each worker about half of the connections, and their metrics an instance id of their own', async () => {
    const receiver = await OtlpReceiver.start()
    try {
      await start({
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
        OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=one-for-all',
      })
      await sendMany(40)
      await gateway.stop()
      const shares = [...receiver.requestsByInstance.values()]
      assert.deepEqual(new Set(receiver.requestsByInstance.keys()), new Set(['one-for-all-1', 'one-for-all-2']))
      assert.equal(shares[0]! + shares[1]!, 40, 'each span is exported once')
      for (const share of shares) assert.ok(share >= 16 && share <= 24, `${share} of 40`)
    } finally {
      await receiver.stop()
    }
  })

  it('replaces one that dies: only its requests in flight fail, and no counter falls', async () => {
    await start()
    await sendMany(6)
    await until(async () => (await requests({ gateway_outcome: 'ok' })) === 6, { what: 'all are counted' })
    const before = (await status()).workers.running.map(({ pid }) => pid)
    const waiting = [send(gateway.port, '/app/slow'), send(gateway.port, '/app/slow')]
    const settled = Promise.allSettled(waiting)
    await until(() => pending.length === 2, { what: 'both workers wait for the upstream' })

    process.kill(before[0] as number, 'SIGKILL')
    await until(async () => (await status()).workers.restarts === 1, { what: 'the end is noticed' })
    assert.ok(
      (await sendMany(6)).every(answer => answer.status === 200),
      'the other one serves',
    )
    for (const response of pending) response.end('late')
    const results = await settled
    assert.deepEqual(results.map(result => result.status).sort(), ['fulfilled', 'rejected'])

    await until(async () => (await status()).workers.running.filter(({ isListening }) => isListening).length === 2, {
      what: 'another worker serves',
    })
    assert.equal((await fetch(`${gateway.opsUrl}/readyz`)).status, 200)
    await sendMany(6)
    await until(async () => (await requests({ gateway_outcome: 'ok' })) === 19, { what: 'nothing is lost' })
    const families = await scrape(gateway.opsUrl)
    assert.equal(sampleValue(families, 'gateway_worker_restarts_total'), 1)
    assert.ok(gateway.logs.some(({ event, signal }) => event === 'worker' && signal === 'SIGKILL'))
  })

  it('finishes the requests of both at SIGTERM, is not ready meanwhile, and leaves no process', async () => {
    await start()
    const pids = (await status()).workers.running.map(({ pid }) => pid)
    const waiting = [send(gateway.port, '/app/slow'), send(gateway.port, '/app/slow')]
    await until(() => pending.length === 2, { what: 'two requests in flight' })
    gateway.process.signal('SIGTERM')
    await until(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status === 503, { what: 'draining' })
    const isRefused = async (): Promise<boolean> => {
      const error: unknown = await fetch(`${gateway.url}/app`).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      return ((error as Error | undefined)?.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
    }
    await until(isRefused, { what: 'new connections are refused' })
    for (const response of pending) response.end('late')
    assert.deepEqual(
      (await Promise.all(waiting)).map(answer => answer.text),
      ['late', 'late'],
    )
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    assert.equal(gateway.logs.filter(({ event }) => event === 'stopped').length, 1)
  })

  it('reloads one after the other, and a refused file is refused everywhere, also by a worker that starts later', async () => {
    await start()
    writeFileSync(gateway.configFile, file('/two'))
    await gateway.process.waitForLog('the reload', ({ event, result }) => event === 'config' && result === 'success')
    assert.deepEqual(
      (await sendMany(4, '/two')).map(answer => answer.status),
      [200, 200, 200, 200],
    )
    writeFileSync(gateway.configFile, '{ "routes": 7 }')
    await gateway.process.waitForLog('the refusal', ({ event, result }) => event === 'config' && result === 'refused')
    const pid = (await status()).workers.running[0]!.pid
    process.kill(pid, 'SIGKILL')
    await until(
      async () => {
        const { workers } = await status()
        return workers.restarts === 1 && workers.running.filter(({ isListening }) => isListening).length === 2
      },
      { what: 'another worker serves' },
    )
    assert.deepEqual(
      (await sendMany(4, '/two')).map(answer => answer.status),
      [200, 200, 200, 200],
    )
    const families = await scrape(gateway.opsUrl)
    for (const result of ['success', 'refused']) {
      assert.equal(sampleValue(families, 'gateway_config_reloads_total', { gateway_config_result: result }), 1, result)
    }
    assert.equal(sampleValue(families, 'gateway_config_last_reload_successful'), 0)
  })

  it('never allows more than the limit in memory, whichever worker counts', async () => {
    await start({}, { rateLimit: { limit: 10, window: '1m' } })
    const allowed = (await sendMany(30)).filter(answer => answer.status === 200)
    assert.equal(allowed.length, 10)
    const offenders = (await (await fetch(`${gateway.opsUrl}/offenders`)).json()) as {
      policies: { limited: number; offenders: { count: number }[] }[]
    }
    assert.deepEqual([offenders.policies[0]?.limited, offenders.policies[0]?.offenders[0]?.count], [20, 20])
  })

  it('does not start with a limit in memory that cannot be divided', async () => {
    const { child } = launchGateway({
      config: file('/app', { rateLimit: { limit: 1, window: '1m' } }),
      env: { WORKERS: '2' },
    })
    assert.deepEqual(await child.exited, { code: 78, signal: null })
    assert.match(child.lines.join('\n'), /a limit of 1 cannot be divided among 2 workers/)
  })
})
