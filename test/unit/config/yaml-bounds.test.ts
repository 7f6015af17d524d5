import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { problemsIn } from './gateway-yaml'

const MEBIBYTE = 1_048_576
const filled = (part: string): string => part.repeat(Math.floor(MEBIBYTE / part.length))
/** Far more than any of them takes on a busy machine, far less than what any took unbounded. */
const TIME_LIMIT_MS = 2_000

describe('a text that would keep the parser busy', () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['lists in lists on one line', filled('- '), /^gateway\.yaml:1:\d+ the file is nested too deeply; at most 100/],
    ['a mebibyte of list entries', filled('- \n'), /^gateway\.yaml:50001:1 the file has too many lines; at most 50000/],
    ['maps in maps', filled('? '), /nested too deeply/],
    ['open brackets', filled('['), /nested too deeply/],
    ['open braces', filled('{'), /nested too deeply/],
    ['a long list', `[${filled('a,')}]`, /^gateway\.yaml:1:\d+ the file has too many values/],
    ['empty texts', filled('"" '), /too many values/],
    ['tags', filled('!a '), /too many values/],
    ['anchors', filled('&a '), /too many values/],
    ['colons', filled(': '), /too many values/],
    ['comments', filled('#\n'), /too many lines/],
    [
      'aliases',
      `a: &a [1]\nb: [${'*a,'.repeat(10_000)}]`,
      /^gateway\.yaml:2:\d+ the file has too many aliases; at most 1000/,
    ],
  ]
  for (const [what, text, expected] of rows) {
    it(`is refused at once: ${what}`, () => {
      const startedAt = performance.now()
      const [problem] = problemsIn(text)
      const took = performance.now() - startedAt
      assert.match(`${problem?.where} ${problem?.problem}; ${problem?.allowed}`, expected)
      assert.ok(took < TIME_LIMIT_MS, `${took} ms`)
    })
  }

  it('with thousands of keys in one map is read in time that grows with it, not with its square', () => {
    const keys = (count: number): string => Array.from({ length: count }, (_, index) => `k${index}: 1\n`).join('')
    // Unbounded, the parser compares each key with each: 40 s.
    const startedAt = performance.now()
    assert.ok(problemsIn(keys(20_000)).length <= 300)
    assert.ok(performance.now() - startedAt < 10_000)
  })

  it('finds each key that appears twice, whatever its quotes', () => {
    const problems = problemsIn('routes: []\n"routes": []\nupstreams: {}\n')
    const [again] = problems.filter(({ problem }) => problem.includes('twice'))
    assert.deepEqual([again?.where, again?.problem], ['gateway.yaml:2:1', 'the key "routes" appears twice'])
  })
})
