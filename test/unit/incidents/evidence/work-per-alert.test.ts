import assert from 'node:assert/strict'
import { shareEvidence, type GatherOptions } from '../../../../src/incidents/evidence/gather'
import { PrometheusClient } from '../../../../src/incidents/evidence/prometheus'
import { bodyOf, startUpstream, type RunningUpstream } from '../../../support/start-upstream'

const NOW = Date.now()
const ROUTES = 100
const REPLICAS = 10
const EXEMPLARS = 12
const NAMES = ['First', 'Second', 'Third']

describe('the work for three hundred alerts of a hundred routes and ten replicas', () => {
  let prometheus: RunningUpstream
  let replicas: RunningUpstream[]
  const routes = Array.from({ length: ROUTES }, (_, index) => `/r${index}`)

  beforeEach(async () => {
    prometheus = await startUpstream((request, response) => {
      void bodyOf(request).then(body => {
        const query = new URLSearchParams(body.toString()).get('query') ?? ''
        response.end(JSON.stringify({ status: 'success', data: answerTo(request.url ?? '', query) }))
      })
    })
    replicas = await Promise.all(
      Array.from({ length: REPLICAS }, async () =>
        startUpstream((request, response) => {
          if (request.url?.startsWith('/samples') === true) return response.end('{"groups":[]}')
          if (request.url?.startsWith('/traces?') === true) return response.end('{"traces":[]}')
          return response.writeHead(404).end('{}')
        }),
      ),
    )
  })
  afterEach(async () => {
    await Promise.all([prometheus, ...replicas].map(async upstream => upstream.stop()))
  })

  it('grows with the routes only, and an evicted trace is asked for at one replica', async () => {
    const options = optionsOf()
    // Not one of the others: answers of gateways are shared for some seconds.
    await gather(options, ['/another'], ['First'])
    const one = takeCounts()
    assert.ok(one.prometheus <= 17, `${one.prometheus} queries for one alert, 8 of them shared by all`)
    assert.equal(one.traces, 3)
    assert.equal(one.samples, REPLICAS)

    await gather(optionsOf(), routes, NAMES)
    const all = takeCounts()
    const shared = 8
    assert.equal(
      all.prometheus,
      shared + ROUTES * (one.prometheus - shared),
      'three alerts of a route share all queries',
    )
    assert.equal(all.traces, ROUTES * 3)
    assert.equal(all.samples, ROUTES * REPLICAS)
  })

  it('is half of the samples while many alerts wait', async () => {
    const [route = ''] = routes
    await shareEvidence(alertOf('First', route), optionsOf(), NOW + 1_000, 0)
    assert.equal(limitsOfSamples(), '300')
    await shareEvidence(alertOf('First', route), optionsOf(), NOW + 2_000, 21)
    assert.equal(limitsOfSamples(), '150')
  })

  it('shares nothing with a later look, which would otherwise repeat what was partial', async () => {
    const options = optionsOf()
    await gather(options, routes.slice(0, 1), ['First'])
    const first = takeCounts()
    await gather(options, routes.slice(0, 1), ['First'], NOW + 30_000)
    // The counts at the start of the window are the same, and are not asked for again.
    assert.equal(takeCounts().prometheus, first.prometheus - 2)
  })

  async function gather(
    options: GatherOptions,
    about: readonly string[],
    names: readonly string[],
    askedAtMs = NOW,
  ): Promise<void> {
    const alerts = names.flatMap(name => about.map(route => alertOf(name, route)))
    const found = await Promise.all(
      alerts.map(async alert => shareEvidence(alert, options, askedAtMs, alerts.length + 99)),
    )
    assert.equal(found.length, alerts.length)
  }

  /** The only limit that replicas were asked with. */
  function limitsOfSamples(): string {
    const urls = replicas.flatMap(({ requests }) => requests.splice(0).map(({ url }) => new URL(url, 'http://ops')))
    const limits = urls.filter(({ pathname }) => pathname === '/samples').map(url => url.searchParams.get('limit'))
    return [...new Set(limits)].join()
  }

  function takeCounts(): { prometheus: number; traces: number; samples: number } {
    const urls = replicas.flatMap(({ requests }) => requests.map(({ url }) => url))
    const counts = {
      prometheus: prometheus.requests.length,
      traces: urls.filter(url => url.startsWith('/traces/')).length,
      samples: urls.filter(url => url.startsWith('/samples')).length,
    }
    for (const { requests } of [prometheus, ...replicas]) requests.length = 0
    return counts
  }

  function answerTo(url: string, query: string): object {
    if (url.includes('exemplars')) {
      const route = /http_route="(\/r\d+)"/.exec(query)?.[1] ?? ''
      return [{ seriesLabels: { instance: 'replica0', http_route: route }, exemplars: exemplarsOf(route) }]
    }
    if (!query.includes('gateway_ops_info{')) return { result: [] }
    return {
      result: replicas.map(({ url: address }, index) => ({
        metric: { instance: `replica${index}`, url: address },
        value: [0, '1'],
      })),
    }
  }

  function optionsOf(): GatherOptions {
    return {
      prometheus: new PrometheusClient(prometheus.url),
      gatewayJob: 'myesi-api',
      opsToken: undefined,
      opsTokenHosts: [],
      backends: [],
      shown: { clients: false, consumers: false, headers: [] },
    }
  }
})

/** Trace ids that differ from route to route and from test to test, because answers are shared for some seconds. */
function exemplarsOf(route: string): object[] {
  return Array.from({ length: EXEMPLARS }, (_, index) => ({
    labels: {
      trace_id: Buffer.from(`${route}-${index}-${crypto.randomUUID()}`).toString('hex').slice(0, 32).padEnd(32, '0'),
    },
    value: '0.01',
    timestamp: NOW / 1_000 - index,
  }))
}

function alertOf(alertname: string, route: string): Parameters<typeof shareEvidence>[0] {
  return {
    labels: {
      alertname,
      severity: alertname,
      component: 'gateway',
      family: 'faults',
      job: 'myesi-api',
      http_route: route,
    },
    annotations: { exemplar_query: `x{http_route="${route}"}` },
    startsAt: new Date(NOW - 30_000).toISOString(),
    endsAt: undefined,
    generatorURL: '',
  }
}
