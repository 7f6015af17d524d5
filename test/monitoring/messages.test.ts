import assert from 'node:assert/strict'
import type { ParsedMail } from 'mailparser'
import { startMailServer, type MailServer } from '../support/mail-server'
import { needs } from '../support/needs'
import { startSlackStandIn, type SlackMessage, type SlackStandIn } from '../support/slack-stand-in'
import { until } from '../support/until'
import { fired, startAlertmanager, type PostedAlert, type RunningAlertmanager } from './start-alertmanager'

describe('messages about alerts', function () {
  // A program of its own for each of them, on a machine that may be busy.
  this.timeout(60_000)

  let slack: SlackStandIn
  let mailServer: MailServer
  let alertmanager: RunningAlertmanager

  before(needs('alertmanager'))

  beforeEach(async () => {
    slack = await startSlackStandIn()
    mailServer = await startMailServer()
    alertmanager = await startAlertmanager({ slackUrl: slack.url, mailPort: mailServer.port })
  })

  afterEach(async () => {
    await alertmanager.stop()
    await Promise.all([slack.stop(), mailServer.stop()])
  })

  it('say which alert, where, why and since when, and lead to a silence; what leads nowhere is no link', async () => {
    await alertmanager.post([spike({ http_route: '/api/orders', gateway_upstream_name: 'orders' })])
    const { message, mail } = await messagesTitled('[CRITICAL] GatewayHttp500Spike /api/orders')

    assert.equal(message.color, '#d0021b')
    assert.equal(message.titleLink, `${alertmanager.url}/#/alerts?receiver=page`)
    for (const line of [
      '*Many requests fail*',
      '*Route:* /api/orders',
      '*Upstream:* orders',
      '*Reason:* connect_refused, reset',
      '12.5% of the requests failed.',
      'Since 2020-02-20 10:00:00 UTC',
      '*Runbook:* monitoring/runbooks/GatewayHttp500Spike.md',
    ]) {
      assert.ok(message.text.split('\n').includes(line), `${line}\nis not in\n${message.text}`)
    }

    const text = mail.text ?? ''
    for (const line of [
      'Route: /api/orders',
      'Upstream: orders',
      'Reason: connect_refused, reset',
      'Runbook: monitoring/runbooks/GatewayHttp500Spike.md',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line}\nis not in\n${text}`)
    }
    const html = String(mail.html)
    for (const text_ of [html, text, message.text]) assert.doesNotMatch(text_, /Dashboard/)
    assert.match(html, /href="http:\/\/localhost:9090\/graph\?g0\.expr=up"/)
  })

  it('lead to incident, dashboard, runbook and traces where the incident service has said where these are', async () => {
    const id = '4bf92f3577b34da6a3ce929d0e0e4736'
    const alert = spike({ http_route: '/api/orders', gateway_upstream_name: 'orders' })
    await alertmanager.post([
      {
        ...alert,
        // Another container finds it, a person's browser does not.
        generatorURL: 'http://prometheus:9090/graph?g0.expr=up',
        annotations: {
          ...alert.annotations,
          budget: '12% of the error budget is left',
          evidence: `orders broke <the> connection & more\nTrace ${id}: GET /a?b=<c> 502 in 12 ms`,
          incident_url: 'https://incidents.example/incidents/7',
          dashboard_url: 'https://grafana.example/d/myesi-gateway',
          runbook_url: 'https://incidents.example/runbooks/GatewayHttp500Spike',
        },
      },
    ])
    const { message, mail } = await messagesTitled('[CRITICAL] GatewayHttp500Spike /api/orders')
    const incident = 'https://incidents.example/incidents/7'
    for (const part of [
      '12% of the error budget is left',
      'orders broke &lt;the&gt; connection &amp; more',
      `Trace <${incident}#trace-${id}|${id}>: GET /a?b=&lt;c&gt; 502 in 12 ms`,
      `<${incident}|Incident>`,
      '<https://grafana.example/d/myesi-gateway|Dashboard>',
      '<https://incidents.example/runbooks/GatewayHttp500Spike|Runbook>',
    ]) {
      assert.ok(message.text.includes(part), `${part}\nis not in\n${message.text}`)
    }
    const html = String(mail.html)
    const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, href = '']) => href.replaceAll('&amp;', '&'))
    assert.deepEqual(
      links.filter(href => !href.startsWith(alertmanager.url)),
      [
        `${incident}#trace-${id}`,
        incident,
        'https://grafana.example/d/myesi-gateway',
        'https://incidents.example/runbooks/GatewayHttp500Spike',
      ],
      'every link opens for people, and there is no other',
    )
    assert.match(html, /orders broke &lt;the&gt; connection &amp; more/)
    assert.match(html, /GET \/a\?b=&lt;c&gt; 502 in 12 ms/)
  })

  it('carry text from outside as text: no markup of Slack, no HTML, no second header', async () => {
    const evil = '/a/<!channel>&<b>"x"</b>\r\nBcc: x@example.com'
    await alertmanager.post([spike({ http_route: evil, gateway_upstream_name: '<https://evil.example|up>' })])
    const message = await until(() => slack.messages[0], { what: 'a message by Slack' })
    const mail = await until(() => mailServer.mails[0], { what: 'a mail' })

    assert.doesNotMatch(message.text, /<!channel>|<https:\/\/evil/)
    assert.doesNotMatch(message.title, /<!channel>/)
    assert.match(message.text, /&lt;!channel&gt;&amp;&lt;b&gt;/)
    const html = String(mail.html)
    assert.doesNotMatch(html, /<b>"x"|<!channel>/)
    assert.match(html, /&lt;b&gt;/)
    assert.equal(mail.headers.has('bcc'), false)
  })

  it('fill in the silence with what the alerts have in common, whatever stands in it', async () => {
    await alertmanager.post([spike({ http_route: '/a b/c+d/&e', gateway_upstream_name: 'orders' })])
    const message = await until(() => slack.messages[0], { what: 'a message by Slack' })
    const mail = await until(() => mailServer.mails[0], { what: 'a mail' })

    const inSlack = /<([^|>]+)\|Silence>/.exec(message.text)?.[1] ?? ''
    const inMail = /href="([^"]+)">Silence</.exec(String(mail.html))?.[1] ?? ''
    for (const link of [inSlack, inMail.replaceAll('&amp;', '&')]) {
      const [place, filter = ''] = link.split('?filter=')
      assert.equal(place, `${alertmanager.url}/#/silences/new`)
      assert.match(
        decodeURIComponent(filter),
        /^\{alertname="GatewayHttp500Spike",.*http_route="\/a b\/c\+d\/&e",.*\}$/,
      )
    }
  })

  it('tell of all routes of an upstream at once, and of no more than fit', async () => {
    const routes = Array.from({ length: 12 }, (_, index) => `/api/route-${String(index).padStart(2, '0')}`)
    // Alertmanager waits for company only with alerts that have just begun.
    const startsAt = new Date().toISOString()
    await alertmanager.post(
      routes.map(http_route => ({ ...spike({ http_route, gateway_upstream_name: 'orders' }), startsAt })),
    )
    const { message, mail } = await messagesTitled('[CRITICAL x12] GatewayHttp500Spike upstream orders')

    assert.deepEqual(
      [...message.text.matchAll(/\*Route:\* (\S+)/g)].map(([, route]) => route),
      routes.slice(0, 10),
    )
    assert.match(message.text, /^Only 10 of 12 are shown\.$/m)
    assert.deepEqual(
      [...(mail.text ?? '').matchAll(/^Route: (\S+)/gm)].map(([, route]) => route),
      routes,
    )
  })

  it('say when it is over, and how long it lasted', async () => {
    const alert = spike({ http_route: '/api/orders', gateway_upstream_name: 'orders' })
    await alertmanager.post([alert])
    await messagesTitled('[CRITICAL] GatewayHttp500Spike /api/orders')
    await alertmanager.post([{ ...alert, endsAt: '2020-02-20T10:12:34Z' }])
    const { message, mail } = await messagesTitled('[RESOLVED] GatewayHttp500Spike /api/orders')

    assert.equal(message.color, '#2eb67d')
    assert.match(message.text, /^Resolved after 12m34s\.$/m)
    assert.doesNotMatch(message.text, /Runbook|Silence|failed/)
    assert.match(mail.text ?? '', /^Resolved after 12m34s\.$/m)
  })

  it('say at the end how many requests failed, and lead to the incident', async () => {
    const alert = spike({ http_route: '/api/orders', gateway_upstream_name: 'orders' })
    const annotations = {
      ...alert.annotations,
      incident_url: 'https://incidents.example/incidents/7',
      outcome: '1234 requests failed',
    }
    await alertmanager.post([{ ...alert, annotations }])
    await messagesTitled('[CRITICAL] GatewayHttp500Spike /api/orders')
    await alertmanager.post([{ ...alert, annotations, endsAt: '2020-02-20T10:12:34Z' }])
    const { message, mail } = await messagesTitled('[RESOLVED] GatewayHttp500Spike /api/orders')
    assert.match(
      message.text,
      /^Resolved after 12m34s, 1234 requests failed\. <https:\/\/incidents\.example\/incidents\/7\|Incident>$/m,
    )
    assert.match(mail.text ?? '', /^Resolved after 12m34s, 1234 requests failed\.\nIncident: https:/m)
    assert.match(
      String(mail.html),
      /12m34s, 1234 requests failed<.*\n.*href="https:\/\/incidents\.example\/incidents\/7"/,
    )
  })

  it('go to the team for a warning, and to nobody for information', async () => {
    const redis = { job: 'redis', instance: 'redis-exporter:9121' }
    const annotations = { summary: 'About memory', description: 'It is nearly full.' }
    await alertmanager.post([
      { labels: fired('RedisMaxmemoryUnset', redis), annotations },
      { labels: fired('RedisMemoryHigh', redis), annotations },
    ])
    const { message, mail } = await messagesTitled('[WARNING] RedisMemoryHigh redis-exporter:9121')

    assert.equal(message.color, '#f5a623')
    assert.deepEqual(
      [mail.to].flat().map(to => to?.text),
      ['team@example.com'],
    )
    // The information came first and in a group of its own: were it told, it would be here by now.
    assert.equal(slack.messages.length, 1)
  })

  it('have a title without a severity too', async () => {
    const { severity: _severity, ...labels } = fired('RedisMemoryHigh', {
      job: 'redis',
      instance: 'redis-exporter:9121',
    })
    await alertmanager.post([{ labels, annotations: { summary: 'About memory', description: 'It is nearly full.' } }])
    await messagesTitled('[ALERT] RedisMemoryHigh redis-exporter:9121')
  })

  /** The message of this title as it came by Slack and by mail. */
  async function messagesTitled(title: string): Promise<{ message: SlackMessage; mail: ParsedMail }> {
    return until(
      () => {
        const message = slack.messages.find(candidate => candidate.title === title)
        const mail = mailServer.mails.find(candidate => candidate.subject === title)
        return message && mail && { message, mail }
      },
      { what: `"${title}" by Slack and by mail` },
    )
  }
})

function spike(labels: { http_route: string; gateway_upstream_name: string }): PostedAlert {
  return {
    labels: fired('GatewayHttp500Spike', { job: 'myesi-api', ...labels }),
    annotations: {
      summary: 'Many requests fail',
      description: '12.5% of the requests failed.',
      reason: 'connect_refused, reset',
      runbook_url: 'monitoring/runbooks/GatewayHttp500Spike.md',
      dashboard_url: '/d/myesi-gateway?var-route=%2Fapi%2Forders',
    },
    startsAt: '2020-02-20T10:00:00Z',
    // Far away: without it, the shortened resolve_timeout would end the alert before it is told.
    endsAt: '2120-02-20T10:00:00Z',
    generatorURL: 'http://localhost:9090/graph?g0.expr=up',
  }
}
