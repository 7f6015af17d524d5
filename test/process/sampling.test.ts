import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { listTraces } from '../support/ops-port'
import { send, type Message } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('sampling rates in gateway.yaml', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
    gateway = await startGateway({ config: file(0), env: { OTEL_TRACES_SAMPLER: 'always_off' } })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  function file(sample: number): string {
    const route = (path: string, telemetry?: object): object => ({
      name: path.slice(1),
      match: { path },
      upstream: 'app',
      ...(telemetry && { telemetry }),
    })
    return JSON.stringify({
      entrypoint: { telemetry: { sample } },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('/default'),
        route('/all', { sample: 1 }),
        route('/half', { sample: 0.5 }),
        route('/rules', {
          sample: 0,
          rules: [
            { methods: ['POST'], sample: 1 },
            { headers: { 'x-debug': 'on' }, sample: 1 },
          ],
        }),
      ],
    })
  }

  /** Trace fields that the upstream got: `01 ot=th:8`. */
  async function passedOn(path: string, message: Partial<Message> = {}): Promise<string> {
    const { length } = upstream.requests
    assert.equal((await send(gateway.port, { path, ...message })).status, 200)
    const { traceparent, tracestate } = upstream.requests[length]!.headers
    return `${String(traceparent).slice(-2)} ${String(tracestate ?? '')}`.trim()
  }

  it('replace the sampler of the environment, for each route', async () => {
    assert.equal(await passedOn('/all'), '03 ot=th:0')
    assert.equal(await passedOn('/default'), '02', 'the trace id is random, the trace is not sampled')
    const [trace] = await until(() => listTraces(gateway.opsUrl), { what: 'the trace is kept' })
    assert.equal(trace?.route, '/all')
  })

  it('sample by the randomness of the trace id: about a half at 0.5', async () => {
    const sent: string[] = []
    for (let i = 0; i < 100; i++) sent.push(await passedOn('/half'))
    const sampled = sent.filter(fields => fields === '03 ot=th:8').length
    assert.equal(sent.filter(fields => fields === '02').length, 100 - sampled)
    assert.ok(sampled > 20 && sampled < 80, `${sampled} of 100`) // six standard errors
  })

  it('may differ by method and header fields', async () => {
    assert.equal(await passedOn('/rules'), '02')
    assert.equal(await passedOn('/rules', { method: 'POST' }), '03 ot=th:0')
    assert.equal(await passedOn('/rules', { headers: { 'x-debug': 'on' } }), '03 ot=th:0')
  })

  it('leave the decision of a caller as it is, with its threshold', async () => {
    const id = '4bf92f3577b34da6a3ce929d0e0e4736'
    const sampled = { traceparent: `00-${id}-00f067aa0ba902b7-01`, tracestate: 'acme=1,ot=th:4' }
    assert.equal(await passedOn('/default', { headers: sampled }), '00 acme=1,ot=th:4')
    const notSampled = { traceparent: `00-${id}-00f067aa0ba902b7-00` }
    assert.equal(await passedOn('/all', { headers: notSampled }), '00')
  })

  it('change with a reload', async () => {
    writeFileSync(gateway.configFile, file(1))
    await until(async () => (await passedOn('/default')) === '03 ot=th:0', { what: 'the new rate is in use' })
    assert.equal(await passedOn('/half').then(fields => fields.length > 0), true)
  })

  it('are shown by /routes', async () => {
    const text = await (await fetch(`${gateway.opsUrl}/routes?format=html`)).text()
    assert.match(text, /100 % of POST; 100 % of x-debug: on; else 0 %/)
    assert.match(text, /50 % of traces/)
  })
})
