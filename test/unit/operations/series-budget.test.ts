import assert from 'node:assert/strict'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import { seriesBudget, totalLines, typicalLines, type FamilyBudget } from '../../../src/operations/series-budget'

interface RouteOptions {
  readonly methods?: readonly string[]
  readonly policies?: number
  /** Default false: what is asked about here is mostly something else. */
  readonly websocket?: boolean
}

function budgetOf(routes: readonly RouteOptions[], targets = 1): FamilyBudget[] {
  const file = {
    upstreams: { app: { targets: Array.from({ length: targets }, (_, index) => `http://127.0.0.1:${9_001 + index}`) } },
    routes: routes.map(({ methods, policies = 0, websocket = false }, index) => ({
      name: `r${index}`,
      match: { path: `/r${index}`, ...(methods && { methods }) },
      upstream: 'app',
      websocket,
      ...(policies > 0 && {
        rateLimit: Array.from({ length: policies }, (_, policy) => ({ name: `p${policy}`, limit: 1, window: '1m' })),
      }),
    })),
  }
  const { config, problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
  assert.ok(config, JSON.stringify(problems))
  return seriesBudget(config)
}

function series(budget: readonly FamilyBudget[], instrument: string): number {
  return budget.find(family => family.instrument === instrument)!.series
}

describe('the budget of series', () => {
  it('counts the variants of a split, and the requests that got none', () => {
    const budget = (route: object): FamilyBudget[] => {
      const file = {
        upstreams: { app: { targets: ['http://127.0.0.1:9001'] }, next: { targets: ['http://127.0.0.1:9002'] } },
        routes: [{ name: 'a', match: { path: '/a' }, ...route }],
      }
      const { config, problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
      assert.ok(config, JSON.stringify(problems))
      return seriesBudget(config)
    }
    const whole = budget({ upstream: 'app' })
    const variants = ['app', 'next'].map(upstream => ({ name: upstream, upstream, weight: 1 }))
    const split = budget({ split: { variants } })
    const added = (instrument: string): number => series(split, instrument) - series(whole, instrument)
    const ofRoute = series(budgetOf([{}, {}]), 'gateway.requests') - series(budgetOf([{}]), 'gateway.requests')
    assert.equal(added('gateway.requests'), 2 * ofRoute)
    const durations = series(budgetOf([{}, {}]), 'http.server.request.duration')
    assert.equal(
      added('http.server.request.duration'),
      2 * (durations - series(budgetOf([{}]), 'http.server.request.duration')),
    )
    assert.equal(added('http.client.request.duration'), series(whole, 'http.client.request.duration'))
  })

  it('grows with each route by as much', () => {
    const [one, two, three] = [1, 2, 3].map(count => {
      return series(budgetOf(Array.from({ length: count }, () => ({}))), 'http.server.request.duration')
    })
    assert.equal(three! - two!, two! - one!)
    assert.ok(two! > one!)
  })

  it('has a figure for ordinary traffic, close to what a scrape has and far below the bound', () => {
    // Measured on the shipped gateway.yaml with GET and POST, good and failing, on each route: 456 lines.
    const budget = budgetOf([{ policies: 1 }, { policies: 1 }])
    assert.ok(Math.abs(typicalLines(budget) - 456) < 20, `${typicalLines(budget)} lines`)
    assert.ok(totalLines(budget) > 100 * typicalLines(budget))
    for (const { typicalSeries, series } of budget) assert.ok(typicalSeries <= series)
  })

  it('is smaller for a route that lists its methods, and counts HEAD with GET', () => {
    const [get, getAndHead, post, any] = [['GET'], ['GET', 'HEAD'], ['POST'], undefined].map(methods =>
      series(budgetOf([methods ? { methods } : {}]), 'gateway.stream.duration'),
    )
    assert.equal(get, getAndHead)
    assert.equal(get, post! * 2)
    assert.equal(any, post! * 11, 'ten methods and _OTHER')
  })

  it('has one method for all that are not known', () => {
    const methods = ['PROPFIND', 'MKCOL', 'PURGE']
    assert.equal(
      series(budgetOf([{ methods }]), 'gateway.stream.duration'),
      series(budgetOf([{ methods: ['POST'] }]), 'gateway.stream.duration'),
    )
  })

  it('has WebSockets where GET is let through', () => {
    const [plain, upgraded, posts] = [{}, { websocket: true }, { websocket: true, methods: ['POST'] }].map(route =>
      series(budgetOf([route]), 'gateway.stream.duration'),
    )
    assert.ok(upgraded! > plain!)
    assert.equal(posts, series(budgetOf([{ methods: ['POST'] }]), 'gateway.stream.duration'))
  })

  it('counts calls by target', () => {
    const [one, two] = [1, 2].map(targets => series(budgetOf([{}], targets), 'http.client.request.duration'))
    assert.equal(two, one! * 2)
  })

  it('counts decisions by policy', () => {
    assert.equal(series(budgetOf([{}]), 'gateway.rate_limiting.requests'), 0)
    assert.equal(series(budgetOf([{ policies: 2 }, { policies: 1 }]), 'gateway.rate_limiting.requests'), 18)
  })

  it('adds up lines, of which a histogram has one per bucket', () => {
    const budget = budgetOf([{}])
    const lines = budget.map(({ series, linesPerSeries }) => series * linesPerSeries)
    assert.equal(
      totalLines(budget),
      lines.reduce((a, b) => a + b),
    )
    assert.equal(budget.find(({ instrument }) => instrument === 'http.server.request.duration')?.linesPerSeries, 17)
  })
})
