import assert from 'node:assert/strict'
import { linksOf, runbookPath, traceLinks, type Places } from '../../../../src/incidents/page/links'
import type { IncidentAlert } from '../../../../src/incidents/record/incident'
import { alertRecord } from '../../../support/incident-record'

const RANGE = { startMs: 1_000, endMs: 2_000 }
const NOWHERE: Places = {
  grafanaUrl: undefined,
  repositoryUrl: undefined,
  alertmanagerUrl: undefined,
  jaegerUrl: undefined,
  tempoUrl: undefined,
  jaegerPublicUrl: undefined,
  opsPublicUrl: undefined,
  ownUrl: '',
}
const PLACES: Places = {
  grafanaUrl: 'https://grafana.example/below',
  repositoryUrl: 'https://code.example/gateway/blob/main',
  alertmanagerUrl: 'https://alerts.example',
  jaegerUrl: 'http://jaeger:16686',
  tempoUrl: 'http://tempo:3200',
  jaegerPublicUrl: undefined,
  opsPublicUrl: undefined,
  ownUrl: 'https://incidents.example',
}

function links(alert: IncidentAlert, places = PLACES): Readonly<Record<string, string>> {
  return Object.fromEntries(linksOf(alert, RANGE, places).map(({ name, href }) => [name, href]))
}

function annotated(annotations: IncidentAlert['annotations'], generatorURL = ''): IncidentAlert {
  return alertRecord({}, { annotations, generatorURL })
}

describe('the links of an alert', () => {
  it('lead to the runbook, the dashboard at that time, the query and the form for a silence', () => {
    const { Runbook, Dashboard, Query, Silence = '' } = links(alertRecord())
    assert.equal(Runbook, 'https://code.example/gateway/blob/main/monitoring/runbooks/GatewayHttp500Spike.md')
    assert.equal(Dashboard, 'https://grafana.example/below/d/myesi-gateway?var-route=%2Forders&from=1000&to=2000')
    assert.equal(Query, undefined, 'prometheus is a name for containers')
    const opens = links({ ...alertRecord(), generatorURL: 'http://localhost:9090/graph?g0.expr=rate' })
    assert.equal(opens['Query'], 'http://localhost:9090/graph?g0.expr=rate')
    const [form = '', filter = ''] = Silence.split('?filter=')
    assert.equal(form, 'https://alerts.example/#/silences/new')
    assert.match(decodeURIComponent(filter), /^\{alertname="GatewayHttp500Spike",.*,gateway_upstream_name="orders"\}$/)
  })

  it('fill label values into the form as strings, whatever is in them', () => {
    const { Silence = '' } = links(alertRecord({ http_route: `/a"},evil="\\&#` }))
    const filter = decodeURIComponent(Silence.split('?filter=')[1] ?? '')
    assert.ok(filter.includes(String.raw`http_route="/a\"},evil=\"\\&#"`), filter)
  })

  it('do not silence what is over', () => {
    assert.equal('Silence' in links(alertRecord({}, { endsAtMs: 1 })), false)
  })

  it('are those alone whose place is known; the runbook is named then', () => {
    assert.deepEqual(Object.keys(links(alertRecord(), NOWHERE)), [])
    assert.equal(runbookPath(alertRecord(), NOWHERE), 'monitoring/runbooks/GatewayHttp500Spike.md')
    assert.equal(runbookPath(alertRecord(), PLACES), undefined)
    // Shown by the service itself where there is no repository.
    const own = { ...NOWHERE, ownUrl: 'https://incidents.example' }
    assert.equal(links(alertRecord(), own)['Runbook'], 'https://incidents.example/runbooks/GatewayHttp500Spike')
  })

  it('may be whole addresses of elsewhere, at no time of ours', () => {
    const found = links(annotated({ runbook_url: 'https://wiki.example/r', dashboard_url: 'https://boards.example/d' }))
    assert.equal(found['Runbook'], 'https://wiki.example/r')
    assert.equal(found['Dashboard'], 'https://boards.example/d')
  })

  for (const address of ['javascript:alert(1)', 'data:text/html,x', 'https://grafana.example@evil.example/']) {
    it(`are not made of ${address}`, () => {
      const alert = annotated({ runbook_url: address, dashboard_url: address }, address)
      assert.deepEqual(Object.keys(links(alert)), ['Silence'])
      assert.deepEqual(links({ ...alert, endsAtMs: 1 }, NOWHERE), {})
    })
  }

  for (const path of ['//evil.example/d', '/\\evil.example/d', '\\\\evil.example', '/../../../etc']) {
    it(`do not leave their place by ${path}`, () => {
      const { Dashboard = '' } = links(annotated({ dashboard_url: path }))
      const host = Dashboard === '' ? undefined : new URL(Dashboard).host
      assert.ok(host === undefined || host === 'grafana.example', Dashboard)
    })
  }
})

describe('the links of a trace', () => {
  const [trace] = alertRecord().evidence?.traces ?? []
  assert.ok(trace)
  const from = (source: string | undefined, places: Partial<Places> = {}): string[] =>
    traceLinks({ ...trace, source }, { ...PLACES, ...places }).map(({ href }) => href)

  it('lead to the replica that kept it, and to Jaeger, at the addresses that people have', () => {
    const id = trace.traceId
    assert.deepEqual(from('http://10.0.0.5:9464'), [`http://10.0.0.5:9464/traces/${id}`])
    assert.deepEqual(from('http://gateway:9464', { opsPublicUrl: 'http://localhost:9464' }), [
      `http://localhost:9464/traces/${id}`,
    ])
    const jaegerPublicUrl = 'https://jaeger.example'
    assert.deepEqual(from('http://jaeger:16686', { jaegerPublicUrl }), [`https://jaeger.example/trace/${id}`])
    assert.deepEqual(from('http://10.0.0.5:9464', { jaegerPublicUrl }), [
      `http://10.0.0.5:9464/traces/${id}`,
      `https://jaeger.example/trace/${id}`,
    ])
  })

  it('are not there where only containers could open them, nobody had the trace, or nobody has a page for it', () => {
    assert.deepEqual(from('http://gateway:9464'), [])
    assert.deepEqual(from('http://jaeger:16686'), [])
    assert.deepEqual(from(undefined), [])
    assert.deepEqual(from('http://tempo:3200'), [])
    assert.deepEqual(from('javascript:alert(1)//'), [])
  })
})
