import assert from 'node:assert/strict'
import { forecastText } from '../../../src/slo/forecast-text'
import { objectivesIn, durationBoundaries } from '../../../src/slo/objectives'
import { SHIPPED_OPTIONS, sloRules } from '../../../src/slo/slo-rules'
import { seriesBudget } from '../../../src/operations/series-budget'
import { shownRoutes } from '../../../src/operations/shown-route'
import { textsAbout } from '../../../src/operations/route-wording'
import { configOf, placeOf, problemsIn } from '../config/gateway-yaml'

const DAY_MS = 86_400_000

function file(slo: string, routes: readonly string[]): string {
  return [
    slo,
    'upstreams: { u: { targets: [http://127.0.0.1:9001] } }',
    'routes:',
    ...routes.map((route, index) => `  - { name: r${index}, match: { path: /${index} }, ${route} }`),
    '',
  ].join('\n')
}

const promised = (text: string): string[] =>
  objectivesIn(configOf(text)).map(
    ({ route, slo, target, thresholdS, windowMs }) =>
      `${route} ${slo} ${target}${thresholdS === undefined ? '' : ` in ${thresholdS}s`} over ${windowMs / DAY_MS}d`,
  )

describe('slo in gateway.yaml', () => {
  it('is none by default', () => {
    assert.deepEqual(promised(file('', ['upstream: u'])), [])
  })

  it('of the file holds for each route with an upstream, key by key, and not where a route says false', () => {
    const text = file('slo: { availability: 99.9, latency: { threshold: 300ms, target: 99 } }', [
      'upstream: u',
      'upstream: u, slo: { availability: 99.5, window: 7d }',
      'upstream: u, slo: false',
      'respond: { status: 204 }',
      'respond: { status: 204 }, slo: { availability: 99.99 }',
    ])
    assert.deepEqual(promised(text), [
      '/0 availability 99.9 over 30d',
      '/0 latency 99 in 0.3s over 30d',
      '/1 availability 99.5 over 7d',
      '/1 latency 99 in 0.3s over 7d',
      '/4 availability 99.99 over 30d',
      '/4 latency 99 in 0.3s over 30d',
    ])
  })

  for (const [written, days, range] of [
    ['7.5d', '7.5d', '180h'],
    ['180h', '7.5d', '180h'],
    ['14d', '14d', '14d'],
    ['200h', '200h', '200h'],
  ] as const) {
    it(`takes a window of ${written}: ${days} for people, and whole units for Prometheus`, () => {
      const objectives = objectivesIn(
        configOf(file(`slo: { availability: 99.9, window: ${written} }`, ['upstream: u'])),
      )
      assert.match(forecastText(objectives), new RegExp(`over ${days}: /0\\n`))
      const rules = JSON.stringify(sloRules(objectives, SHIPPED_OPTIONS))
      assert.ok(rules.includes(`[${range}]`), rules)
      assert.doesNotMatch(rules, /\[\d+\.\d+\w+\]/)
    })
  }

  it('is said of a route where people look it up', () => {
    const config = configOf(
      file('slo: { availability: 99.9, latency: { threshold: 300ms, target: 99 } }', ['upstream: u']),
    )
    assert.deepEqual(
      shownRoutes(config).flatMap(route => textsAbout(route, 'objectives')),
      ['99.9 % without a fault, 99 % within 300ms, over 30d'],
    )
  })

  it('adds the boundaries that its thresholds need to the duration, and to the budget of series', () => {
    const [plain, finer] = ['slo: {}', 'slo: { latency: { threshold: 300ms, target: 99 } }'].map(slo =>
      configOf(file(slo, ['upstream: u'])),
    )
    assert.ok(plain && finer)
    assert.deepEqual(durationBoundaries(objectivesIn(finer)).slice(6, 9), [0.25, 0.3, 0.5])
    const lines = (config: typeof plain): number => seriesBudget(config)[0]?.linesPerSeries ?? 0
    assert.equal(lines(finer), lines(plain) + 1)
  })

  for (const [slo, path, problem, nearest] of [
    ['availability: 100', 'slo.availability', '100 is too large: it leaves no error budget'],
    ['availability: 0.999', 'slo.availability', '0.999 looks like a ratio', '99.9'],
    ['latency: { threshold: 300, target: 99 }', 'slo.latency.threshold', '300 has no unit', '300s'],
    ['latency: { threshold: 300ms }', 'slo.latency.target', '"target" is missing'],
    ['window: 1d', 'slo.window', '"1d" is too short'],
    ['availabilty: 99.9', 'slo.availabilty', '"availabilty" is not a key here', 'availability'],
  ] as const) {
    it(`is refused with its place when it is wrong: ${slo}`, () => {
      for (const [prefix, text, line] of [
        ['', file(`slo: { ${slo} }`, ['upstream: u']), 1],
        [
          'routes[0].',
          file('', [
            `upstream: u, slo: { availability: 99, ${slo} }`.replace('availability: 99, availability', 'availability'),
          ]),
          4,
        ],
      ] as const) {
        const [first, ...more] = problemsIn(text)
        assert.ok(first)
        assert.deepEqual(more, [])
        assert.equal(first.problem, problem)
        assert.equal(first.nearest, nearest)
        assert.equal(placeOf(first, text).path, `${prefix}${path}`)
        assert.equal(placeOf(first, text).line, line)
      }
    })
  }

  it('is refused on a route where it promises nothing', () => {
    const [first] = problemsIn(file('', ['upstream: u, slo: { window: 7d }']))
    assert.equal(first?.problem, '"slo" promises nothing')
    assert.match(first?.allowed ?? '', /availability, latency, or both; false for none/)
  })

  it('is refused with a ninth latency threshold of its own', () => {
    const routes = Array.from(
      { length: 9 },
      (_, index) => `upstream: u, slo: { latency: { threshold: ${index + 11}ms, target: 99 } }`,
    )
    assert.deepEqual(problemsIn(file('', routes.slice(1))), [])
    const [first, ...more] = problemsIn(file('', routes))
    assert.match(first?.problem ?? '', /one latency threshold too many/)
    assert.match(first?.where ?? '', /routes\[8\]\.slo\.latency\.threshold/)
    assert.deepEqual(more, [])
  })
})
