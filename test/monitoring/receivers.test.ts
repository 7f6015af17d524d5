import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { webhookJsonSchema, webhookMessage } from '../../src/incidents/alerts/webhook-message'
import { alertmanagerPlan } from '../../tools/stack/components'
import { freePort } from '../support/free-port'
import { startMailServer, type MailServer } from '../support/mail-server'
import { needs } from '../support/needs'
import { shortened } from '../support/shortened'
import { startPlanned } from '../support/start-planned'
import type { TestProcess } from '../support/start-process'
import { bodyOf, startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'
import { read, ROOT } from './monitoring-files'
import { runTool } from './run-tool'
import { fired, type Labels } from './start-alertmanager'

const CONFIG = 'monitoring/receivers/alertmanager.yml'
const INCIDENT = 'https://incidents.example/incidents/7'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const ANNOTATIONS = {
  summary: 'Many requests fail',
  description: '12.5% of the requests failed.',
  reason: 'connect_refused',
  evidence: `orders refused the connection\nTrace ${TRACE}: GET /a 502 in 12 ms`,
  budget: '12 % of the 30-day error budget in 20 minutes, 63 % is left',
  incident_url: INCIDENT,
  runbook_url: 'https://incidents.example/runbooks/GatewayHttp500Spike',
  dashboard_url: 'https://grafana.example/d/myesi-gateway',
}

interface Received {
  readonly path: string
  readonly body: string
}

describe('the example of more receivers', function () {
  // Programs of its own, on a machine that may be busy.
  this.timeout(60_000)

  /** Who gets an alert, in the order of the routes. */
  const ROUTES: readonly (readonly [labels: Labels, receivers: string])[] = [
    [{ alertname: 'Watchdog', severity: 'none' }, 'heartbeat'],
    [{ alertname: 'RedisMaxmemoryUnset', severity: 'info' }, 'nobody'],
    [{ alertname: 'GatewayHttp500Spike', severity: 'critical', http_route: '/api/orders' }, 'automation,orders-page'],
    [
      { alertname: 'GatewayHttp500Spike', severity: 'critical', http_route: '/api/orders/:id' },
      'automation,orders-page',
    ],
    [{ alertname: 'GatewayLatencyHigh', severity: 'warning', http_route: '/api/orders' }, 'automation,orders-chat'],
    [
      { alertname: 'GatewayHttp500Spike', severity: 'critical', http_route: '/api/orders2' },
      'automation,platform-page',
    ],
    [{ alertname: 'RedisDown', severity: 'critical', component: 'redis' }, 'automation,platform-page'],
    [
      { alertname: 'AlertReceiverFailing', severity: 'critical', component: 'monitoring' },
      'automation,platform-mail,platform-page',
    ],
    [{ alertname: 'FromSomewhereElse' }, 'automation,platform-chat'],
  ]

  describe('read by amtool', () => {
    before(needs('amtool'))

    it('is accepted with its templates', async () => {
      assert.match(await runTool('amtool', 'check-config', CONFIG), /2 templates/)
    })

    it('is right about the Slack receiver that edits its message, as docs/incidents.md has it', async () => {
      const [, example = ''] =
        /```yaml\n(slack_configs:\n[^`]*update_message: true[^`]*)```/.exec(read('docs/incidents.md')) ?? []
      const file = join(temporaryFolder(), 'alertmanager.yml')
      const receivers = [{ name: 'slack', ...(parse(example) as object) }]
      writeFileSync(file, stringify({ route: { receiver: 'slack' }, receivers }))
      assert.match(await runTool('amtool', 'check-config', file), /1 receivers/)
    })

    for (const [labels, receivers] of ROUTES) {
      it(`sends ${JSON.stringify(labels)} to ${receivers}`, async () => {
        const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
        const verify = `--verify.receivers=${receivers}`
        await runTool('amtool', 'config', 'routes', 'test', `--config.file=${CONFIG}`, verify, ...pairs)
      })
    }
  })

  describe('run by Alertmanager', () => {
    const received: Received[] = []
    let mail: MailServer
    let alertmanager: TestProcess
    let url: string

    before(needs('alertmanager'))

    before(async () => {
      const catcher = await startUpstream((request, response) => {
        void bodyOf(request).then(body => {
          received.push({ path: request.url ?? '', body: body.toString() })
          // PagerDuty accepts with 202.
          response.writeHead(request.url?.includes('enqueue') === true ? 202 : 200).end('{}')
        })
      })
      mail = await startMailServer()
      const [folder, secrets, port] = [temporaryFolder(), temporaryFolder(), await freePort()]
      cpSync(join(ROOT, 'monitoring'), folder, { recursive: true })
      const secret = (name: string, content: string): void => writeFileSync(join(secrets, name), content)
      secret('slack_api_url', `${catcher.url}/slack`)
      secret('teams_platform', `${catcher.url}/teams`)
      secret('pagerduty_platform', 'key-of-platform')
      secret('pagerduty_orders', 'key-of-orders')
      const text = shortened(read(CONFIG), 50)
        .replaceAll('/run/secrets', secrets)
        .replaceAll('http://127.0.0.1:9099', catcher.url)
        .replaceAll('../templates/', `${folder}/templates/`)
        .replaceAll("'*.tmpl'", `${folder}/receivers/*.tmpl`)
      // Where PagerDuty is, and a mail server without TLS and login: nothing else is changed.
      const config = parse(text, { merge: true }) as { global: Record<string, unknown> }
      Object.assign(config.global, {
        pagerduty_url: `${catcher.url}/enqueue`,
        smtp_smarthost: `127.0.0.1:${mail.port}`,
        smtp_require_tls: false,
      })
      writeFileSync(join(folder, 'alertmanager.yml'), stringify(config))
      alertmanager = await startPlanned(await alertmanagerPlan(port, folder, temporaryFolder()))
      url = `http://127.0.0.1:${port}`
    })

    after(async () => {
      await alertmanager.stop()
      await mail.stop()
    })

    async function post(labels: Labels, annotations: Labels = ANNOTATIONS, endsAt?: string): Promise<void> {
      const startsAt = '2020-02-20T10:00:00Z'
      const response = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([{ labels, annotations, startsAt, ...(endsAt !== undefined && { endsAt }) }]),
      })
      assert.equal(response.status, 200, await response.text())
    }

    async function message(path: string, part: string): Promise<string> {
      const fits = (one: Received): boolean => one.path === path && one.body.includes(part)
      const { body } = await until(() => received.find(fits), { what: `${part} at ${path}` })
      return body
    }

    const orders = (route: string): Labels =>
      fired('GatewayHttp500Spike', { job: 'myesi-api', http_route: route, gateway_upstream_name: 'orders' })

    it('calls PagerDuty with the key of the team, the evidence and the incident, and ends the call', async () => {
      await post(orders('/api/orders'))
      const call = JSON.parse(await message('/enqueue', '"trigger"')) as PagerDutyEvent
      assert.equal(call.routing_key, 'key-of-orders')
      assert.equal(call.payload.severity, 'critical')
      assert.equal(call.payload.class, 'GatewayHttp500Spike')
      assert.equal(call.payload.summary, '[CRITICAL] GatewayHttp500Spike /api/orders: Many requests fail')
      assert.deepEqual(call.links, [{ href: INCIDENT, text: 'Incident' }])
      for (const part of [ANNOTATIONS.evidence, ANNOTATIONS.budget, ANNOTATIONS.description]) {
        assert.ok(call.payload.custom_details['alerts']?.includes(part), part)
      }
      await post(orders('/api/orders'), ANNOTATIONS, new Date().toISOString())
      const end = JSON.parse(await message('/enqueue', '"resolve"')) as PagerDutyEvent
      assert.equal(end.dedup_key, call.dedup_key)
    })

    it('gives PagerDuty a link also for an alert without an incident', async () => {
      await post(fired('RedisDown', { job: 'redis', instance: 'a:9121' }), { summary: 'Redis does not answer' })
      const call = JSON.parse(await message('/enqueue', 'RedisDown')) as PagerDutyEvent
      assert.equal(call.routing_key, 'key-of-platform')
      assert.match(call.links[0]?.href ?? '', /^http:\/\/127\.0\.0\.1:\d+\/#\/alerts/)
    })

    it('shows a card in Microsoft Teams with links, and no markup from outside', async () => {
      const evil = '[free](https://evil.example) **x**'
      const labels = { ...fired('GatewayLatencyHigh', { job: 'myesi-api', http_route: '/cart' }), severity: 'warning' }
      await post({ ...labels, gateway_upstream_name: evil })
      const text = textsIn(JSON.parse(await message('/teams', 'GatewayLatencyHigh'))).join('\n')
      for (const part of [
        '[WARNING] GatewayLatencyHigh /cart',
        '**Route:** /cart',
        '12.5% of the requests failed.',
        ANNOTATIONS.budget,
        `Trace ${TRACE}: GET /a 502 in 12 ms`,
        `[Incident](${INCIDENT})`,
        `[Dashboard](${ANNOTATIONS.dashboard_url})`,
        `[Runbook](${ANNOTATIONS.runbook_url})`,
        String.raw`\[free\](https://evil.example) \*\*x\*\*`,
      ]) {
        assert.ok(text.includes(part), `${part}\nis not in\n${text}`)
      }
    })

    it('posts to a program what docs/alert-webhook.schema.json describes', async () => {
      assert.equal(
        webhookJsonSchema(),
        readFileSync(join(ROOT, 'docs/alert-webhook.schema.json'), 'utf8'),
        'npm run schema',
      )
      await post(orders('/hook'))
      const found = webhookMessage.parse(JSON.parse(await message('/alerts', '/hook')))
      assert.equal(found.status, 'firing')
      assert.equal(found.alerts[0]?.annotations.incident_url, INCIDENT)
    })

    it('tells about its own path by mail too', async () => {
      await post(fired('AlertReceiverFailing', { job: 'prometheus', instance: 'a:9090' }))
      await until(() => mail.mails.find(({ subject }) => subject?.includes('AlertReceiverFailing')), { what: 'a mail' })
    })

    it('sends the heartbeat again and again, and to nobody else', async () => {
      await post(fired('Watchdog', {}))
      const beats = (): number => received.filter(({ path }) => path === '/heartbeat').length
      await until(() => beats() >= 3, { what: 'three heartbeats', timeoutMs: 20_000 })
      const others = received.filter(({ path, body }) => path !== '/heartbeat' && body.includes('Watchdog'))
      assert.deepEqual(others, [])
    })
  })
})

interface PagerDutyEvent {
  readonly routing_key: string
  readonly dedup_key: string
  readonly links: readonly { readonly href: string; readonly text: string }[]
  readonly payload: {
    readonly summary: string
    readonly severity: string
    readonly class: string
    readonly custom_details: Readonly<Record<string, string>>
  }
}

/** Every text of a card, however it is nested. */
function textsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    return key === 'text' && typeof inner === 'string' ? [inner] : textsIn(inner)
  })
}
