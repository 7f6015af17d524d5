import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { askPrometheus } from '../support/ask-prometheus'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

const FACTOR = 12.5
const IN_FLIGHT = 3
const SHED = 40 + Math.floor(Math.random() * 40)

describe('the alert message of an overloaded gateway', function () {
  this.timeout(110_000)
  const pending: ServerResponse[] = []
  let upstream: RunningUpstream
  let gateway: RunningGateway

  const alerting = withAlerting(async () => {
    upstream = await startUpstream((_request, response) => pending.push(response))
    const redis = await startRedis()
    gateway = await startGateway({ config: configuration(upstream.url, '/one'), env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: FACTOR, incidents: { REDIS_URL: redis.url }, waitForEvidence: true }
  })

  it('shows the refused share and the load, and looks up no traces', async () => {
    // Changes are searched in steps of 5 s; a change in the very first step is a start and no change.
    await until(async () => (await secondsOf('gateway_config_info')) > 12, {
      what: 'a configuration',
      timeoutMs: 30_000,
    })
    writeFileSync(gateway.configFile, configuration(upstream.url, '/two'))
    await reloaded('success')
    writeFileSync(gateway.configFile, 'upstreams: nonsense')
    await reloaded('refused')
    const answers = Array.from({ length: IN_FLIGHT }, () => send(gateway.port, '/two'))
    await until(() => pending.length === IN_FLIGHT, { what: 'the calls that fill the gateway' })
    for (let i = 0; i < SHED; i++) assert.equal((await send(gateway.port, '/two')).status, 503)

    const { text = '' } = await until(
      () => alerting.mail.mails.find(({ subject }) => subject?.includes('GatewayShedding')),
      { what: 'a mail', timeoutMs: 60_000 },
    )
    assert.match(text, new RegExp(`${SHED} of ${SHED}: the gateway was overloaded and shed requests`))
    assert.match(text, new RegExp(`Load: up to ${IN_FLIGHT} requests at once, the event loop up to [0-9.]+ m?s late`))
    assert.match(text, /First refused at \d\d:\d\d:\d\d UTC/)
    assert.match(
      text,
      /\d+ \w+ (?:before|after the first failure): configuration [0-9a-f]{8} came into force on 127\.0\.0\.1:\d+ \(/,
    )
    assert.match(text, /\d+ \w+ (?:before|after the first failure): 127\.0\.0\.1:\d+ refused a new configuration \(/)
    assert.doesNotMatch(text, /Not found out|Trace /)
    for (const response of pending) response.end()
    await Promise.all(answers)
  })

  /** Seconds since Prometheus first scraped a metric. */
  async function secondsOf(metric: string): Promise<number> {
    const [row] = await askPrometheus(alerting.prometheusUrl, `count_over_time(${metric}[1m:1s])`)
    return row?.value ?? 0
  }

  async function reloaded(result: string): Promise<void> {
    const has = (): boolean => gateway.logs.some(line => line['event'] === 'config' && line['result'] === result)
    await until(has, { what: `a configuration: ${result}`, timeoutMs: 20_000 })
  }
})

function configuration(upstreamUrl: string, path: string): string {
  return `
entrypoint: { overload: { maxRequests: ${IN_FLIGHT} } }
upstreams:
  slow: { targets: ['${upstreamUrl}'] }
routes:
  - { name: slow, match: { path: ${path} }, upstream: slow, timeouts: { response: 2m } }
`
}
