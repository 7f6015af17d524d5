import assert from 'node:assert/strict'
import type { Curve } from '../../../../src/incidents/evidence/curve'
import type { Chart } from '../../../../src/incidents/page/chart'
import { chartLegend, curveChart } from '../../../../src/incidents/page/curve-chart'

const START = Date.parse('2026-11-23T16:00:00Z')

const CURVE: Curve = {
  what: 'failed requests, /orders',
  unit: 'per second',
  startMs: START,
  stepMs: 60_000,
  lines: [
    { name: 'failed requests', values: [null, 0, 0, 4, 8, 8, 0] },
    { name: 'all requests', values: [null, 10, 10, 10, 10, 10, 10] },
  ],
}

function draw(more: Partial<Chart> = {}): string {
  return curveChart({ id: 'curve-0', curve: CURVE, dots: [], marks: [], changes: [], ...more }).toString()
}

function minute(minutes: number): number {
  return START + minutes * 60_000
}

function dots(svg: string): { readonly x: number; readonly y: number }[] {
  return [...svg.matchAll(/class="dot"\s+cx="([\d.]+)%"\s+cy="([\d.]+)"/g)].map(([, x, y]) => ({
    x: Number(x),
    y: Number(y),
  }))
}

describe('the chart of a curve', () => {
  it('has dots on the line, each where its request was', () => {
    const at = (timeMs: number): Chart['dots'][number] => ({ timeMs, durationMs: 5, href: '#trace-a', label: 'a' })
    const [ground, half, top] = dots(draw({ dots: [at(minute(2)), at(minute(3)), at(minute(4))] }))
    assert.ok(ground && half && top)
    assert.deepEqual([ground.x, half.x, top.x], [20, 40, 60], 'the picture begins with the first number there is')
    assert.ok(ground.y > half.y && half.y > top.y)
    assert.ok(Math.abs(half.y - (ground.y + top.y) / 2) < 0.11, 'half as high')
  })

  it('of durations has dots at what each request took, however long', () => {
    const curve: Curve = {
      ...CURVE,
      unit: 'seconds',
      lines: [{ name: '95th percentile', values: [1, 1, 1, 1, 1, 1, 1] }],
    }
    const at = (durationMs: number): Chart['dots'][number] => ({
      timeMs: minute(3),
      durationMs,
      href: undefined,
      label: 'a',
    })
    const [line, slow] = dots(draw({ curve, dots: [at(1_000), at(9_000)] }))
    assert.ok(line && slow && slow.y < line.y && slow.y >= 0)
  })

  it('says in words what it shows', () => {
    const svg = draw()
    assert.match(svg, /<title id="curve-0-title">\s*Failed requests, \/orders per second\s*<\/title>/)
    assert.match(svg, /From 16:01:00 to 16:06:00 UTC\. Highest: 8\/s at 16:04:00; last: 0\/s\./)
    assert.match(svg, /aria-labelledby="curve-0-title curve-0-desc"/)
  })

  it('leaves a gap where there is no number', () => {
    const values = [1, 1, null, 1, 1, null, null]
    const svg = draw({ curve: { ...CURVE, lines: [{ name: 'a', values }] } })
    const [path = ''] = /class="main-line"\s+d="([^"]*)"/.exec(svg)?.slice(1) ?? []
    assert.equal(path.match(/M/g)?.length, 2)
  })

  it('goes from no to yes in one step', () => {
    const curve: Curve = { ...CURVE, unit: 'on or off', lines: [{ name: 'a', values: [0, 0, 1, 1] }] }
    const [path = ''] = /class="main-line"\s+d="([^"]*)"/.exec(draw({ curve }))?.slice(1) ?? []
    const points = path
      .split(/[ML]/)
      .slice(1)
      .map(point => point.split(',').map(Number))
    assert.ok(points.length > 4)
    for (const [index, [x, y]] of points.entries()) {
      const [beforeX, beforeY] = points[index - 1] ?? [x, y]
      assert.ok(x === beforeX || y === beforeY, path)
    }
  })

  it('names the turn, the alert and the end, one under the other', () => {
    const svg = draw({
      marks: [
        { timeMs: minute(3), kind: 'bad', label: 'first failure' },
        { timeMs: minute(3.1), kind: 'fired', label: 'alert' },
        { timeMs: minute(5), kind: 'resolved', label: 'resolved' },
      ],
    })
    const labels = [...svg.matchAll(/y="(\d+)"\s+dx[^>]*>\s*([^<]*?)\s*<\/text\s*>/g)].map(([, y, text]) => [
      Number(y),
      text,
    ])
    assert.deepEqual(labels, [
      [12, 'first failure 16:03:00'],
      [28, 'alert 16:03:06'],
      [44, 'resolved 16:05:00'],
    ])
    assert.match(svg, /class="bad-time"\s+x="40.00%"\s+width="40.00%"/)
  })

  it('leaves out what happened at another time', () => {
    const svg = draw({
      dots: [{ timeMs: minute(99), durationMs: 1, href: undefined, label: 'a' }],
      marks: [{ timeMs: minute(99), kind: 'fired', label: 'alert' }],
      changes: [minute(-99), minute(2)],
    })
    assert.deepEqual(dots(svg), [])
    assert.doesNotMatch(svg, /alert/)
    assert.equal(svg.match(/◆/g)?.length, 1)
    const elsewhere = { id: 'a', curve: CURVE, dots: [], marks: [], changes: [minute(-99)] }
    assert.doesNotMatch(chartLegend(elsewhere).toString(), /changed/)
  })

  it('does not let another line press the one that matters flat, and says how high that is', () => {
    const busy: Curve = {
      ...CURVE,
      lines: [CURVE.lines[0]!, { name: 'all requests', values: [900, 950, 900, 900, 900] }],
    }
    assert.doesNotMatch(draw({ curve: busy }), /other-line/)
    const legend = chartLegend({ id: 'a', curve: busy, dots: [], marks: [], changes: [] }).toString()
    assert.match(legend, /not drawn: all requests, up to 950\/s/)
    assert.match(draw(), /other-line/)
  })

  for (const [what, values] of [
    ['nothing but zeros', [0, 0, 0]],
    ['one point', [3]],
    ['no point', []],
    ['gaps alone', [null, null]],
  ] as const) {
    it(`can be drawn of ${what}`, () => {
      const lines = [{ name: 'a', values }]
      assert.doesNotMatch(draw({ curve: { ...CURVE, lines } }), /NaN|Infinity|undefined/)
    })
  }

  it('has numbers on its axis that fit what it shows', () => {
    const axis = (unit: Curve['unit'], values: number[]): string[] =>
      [
        ...draw({ curve: { ...CURVE, unit, lines: [{ name: 'a', values }] } }).matchAll(
          /class="tick" x="48"[^>]*>([^<]*)</g,
        ),
      ].map(([, text = '']) => text.trim())
    assert.deepEqual(axis('on or off', [0, 1]), ['no', 'yes'])
    assert.ok(axis('share', [0, 0.9]).includes('80 %'))
    assert.ok(axis('seconds', [0, 2]).includes('1.5 s'))
    assert.ok(axis('per second', [0, 20]).includes('10/s'))
  })

  it('has so many times below it as a phone has room for, whatever it spans', () => {
    for (let minutes = 0.1; minutes < 60 * 30; minutes *= 1.13) {
      const stepMs = (minutes * 60_000) / 6
      const svg = draw({ curve: { ...CURVE, stepMs, lines: [{ name: 'a', values: [0, 0, 0, 0, 0, 0, 0] }] } })
      const times = [...svg.matchAll(/>\s*(\d\d:\d\d(?::\d\d)?)\s*</g)].map(([, time = '']) => time)
      const room = times.reduce((sum, time) => sum + time.length * 7 + 8, 0)
      assert.ok(times.length >= 1 && room < 326, `${minutes.toFixed(1)} min: ${times.join(' ')}`)
    }
  })
})
