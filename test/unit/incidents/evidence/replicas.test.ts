import assert from 'node:assert/strict'
import { PrometheusClient } from '../../../../src/incidents/evidence/prometheus'
import { fetchJson, findReplicas, gatewayReplica } from '../../../../src/incidents/evidence/trace-sources'
import { findLimitedClients } from '../../../../src/incidents/evidence/limited-clients'
import { bodyOf, startUpstream, type RunningUpstream } from '../../../support/start-upstream'
import { alertOf } from '../record/alerts'

const TOKEN = 'a-token-that-is-long-enough'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

interface World {
  /** What every series of `gateway_ops_info` says, by its instance. */
  readonly infos: Readonly<Record<string, { readonly job: string; readonly url: string }>>
  /** What Prometheus scrapes. */
  readonly targets: readonly { readonly job: string; readonly scrapeUrl: string }[] | 'no such page'
}

describe('the incident service', () => {
  let gateway: RunningUpstream
  let foreign: RunningUpstream

  beforeEach(async () => {
    const answer = JSON.stringify({ policies: [] })
    gateway = await startUpstream((_request, response) => response.end(answer))
    foreign = await startUpstream((_request, response) => response.end(answer))
  })
  afterEach(async () => {
    await Promise.all([gateway.stop(), foreign.stop()])
  })

  /** Asks all replicas that are found for a trace and for limited clients; returns the tokens that each of the two was shown. */
  async function tokensShown(world: World, opsTokenHosts: readonly string[] = []): Promise<unknown> {
    const prometheus = await startUpstream((request, response) => {
      void bodyOf(request).then(body => {
        if (request.url?.startsWith('/api/v1/targets') === true) {
          if (world.targets === 'no such page') return response.writeHead(404).end('page not found')
          const activeTargets = world.targets.map(({ job, scrapeUrl }) => ({ labels: { job }, scrapeUrl }))
          return response.end(JSON.stringify({ status: 'success', data: { activeTargets } }))
        }
        const question = new URLSearchParams(body.toString()).get('query') ?? ''
        const [, job] = /job="([^"]*)"/.exec(question) ?? []
        const result = Object.entries(world.infos)
          .filter(([, info]) => job === undefined || info.job === job)
          .map(([instance, { url }]) => ({ metric: { instance, url }, value: [0, '1'] }))
        return response.end(JSON.stringify({ status: 'success', data: { result } }))
      })
    })
    const signal = AbortSignal.timeout(5_000)
    const options = {
      prometheus: new PrometheusClient(prometheus.url),
      gatewayJob: 'myesi-api',
      opsToken: TOKEN,
      opsTokenHosts,
    }
    const replicas = [...(await findReplicas(options, { timeMs: Date.now(), signal })).values()]
    await Promise.all(replicas.map(replica => gatewayReplica(replica).fetch(TRACE, signal)))
    await findLimitedClients(alertOf(), replicas, signal)
    await prometheus.stop()
    const shown = ({ requests }: RunningUpstream): unknown => [
      ...new Set(requests.map(({ headers }) => headers.authorization ?? 'none')),
    ]
    return { gateway: shown(gateway), foreign: shown(foreign) }
  }

  it('shows the token to the gateways and not to a series of another job that names an address of its own', async () => {
    const infos = {
      replica: { job: 'myesi-api', url: gateway.url },
      stranger: { job: 'other', url: foreign.url },
    }
    const targets = [
      { job: 'myesi-api', scrapeUrl: `${gateway.url}/metrics` },
      { job: 'other', scrapeUrl: `${foreign.url}/metrics` },
    ]
    assert.deepEqual(await tokensShown({ infos, targets }), { gateway: [`Bearer ${TOKEN}`], foreign: [] })
  })

  it('shows it to no host that Prometheus does not scrape for the gateways, whatever job a series claims', async () => {
    const infos = {
      replica: { job: 'myesi-api', url: `${gateway.url}/` },
      stranger: { job: 'myesi-api', url: foreign.url },
    }
    const targets = [
      { job: 'myesi-api', scrapeUrl: `${gateway.url}/metrics` },
      { job: 'span-metrics', scrapeUrl: `${foreign.url}/metrics` },
    ]
    assert.deepEqual(await tokensShown({ infos, targets }), { gateway: [`Bearer ${TOKEN}`], foreign: ['none'] })
  })

  it('shows it to hosts that OPS_TOKEN_HOSTS names, also where there is no list of targets', async () => {
    const infos = {
      replica: { job: 'myesi-api', url: gateway.url },
      stranger: { job: 'myesi-api', url: foreign.url },
    }
    const host = new URL(gateway.url).host
    assert.deepEqual(await tokensShown({ infos, targets: 'no such page' }, [host]), {
      gateway: [`Bearer ${TOKEN}`],
      foreign: ['none'],
    })
  })

  it('names limited clients although one replica never answers', async () => {
    const labels = { http_route: '/orders', gateway_rate_limiting_policy: 'default' }
    const limit = { httpRoute: '/orders', policy: 'default', offenders: [{ client: '5f2a9c0d4e1b', count: 7 }] }
    gateway.handler = (_request, response) => response.end(JSON.stringify({ policies: [limit] }))
    foreign.handler = () => {} // cut off: neither an answer nor a refusal
    const replicas = [gateway, foreign].map(({ url }) => ({ url, token: undefined }))
    const found = await findLimitedClients({ ...alertOf(), labels }, replicas, AbortSignal.timeout(300))
    assert.deepEqual(found, [{ client: '5f2a9c0d4e1b', count: 7 }])
    await assert.rejects(findLimitedClients({ ...alertOf(), labels }, [replicas[1]!], AbortSignal.timeout(100)))
  })

  it('follows no redirect, which would lead elsewhere with the token', async () => {
    const redirecting = await startUpstream((_request, response) =>
      response.writeHead(302, { Location: foreign.url }).end(),
    )
    await assert.rejects(fetchJson(redirecting.url, AbortSignal.timeout(5_000), { authorization: TOKEN }))
    assert.deepEqual(foreign.requests, [])
    await redirecting.stop()
  })
})
