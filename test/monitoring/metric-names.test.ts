import assert from 'node:assert/strict'
import { EMITTED_METRICS } from './emitted-metrics'
import { metricNamesByFile, metricNamesIn } from './metric-names'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needs } from '../support/needs'
import { temporaryFolder } from '../support/temporary-folder'
import { filesMatching, read, rulesIn, ruleFiles } from './monitoring-files'
import { runTool } from './run-tool'

describe('metric names', () => {
  it('are found in expressions, and nothing else is', () => {
    assert.deepEqual(
      metricNamesIn(
        'sum by (job, route) (rate(a_total{x="b{c}",y=~"d"}[5m] offset 1m)) / on (job) group_left () e:f:g > bool 0.5 and absent(up == 1) or vector(Inf)',
      ),
      ['a_total', 'e:f:g', 'up'],
    )
    assert.deepEqual(metricNamesIn('label_replace(rate(a[1h]), "dst", "$1", "src", "(.).+")'), ['a'])
    assert.deepEqual(metricNamesIn('histogram_quantile(0.9, sum without (le) (b_bucket)) * 1e3'), ['b_bucket'])
  })

  const recorded = ruleFiles()
    .flatMap(rulesIn)
    .flatMap(({ record }) => record ?? [])

  for (const [file, names] of metricNamesByFile()) {
    it(`asks in ${file} for nothing that nobody exposes`, () => {
      assert.ok(names.length > 0, 'no name found: the reader is broken')
      assert.deepEqual(
        names.filter(name => !EMITTED_METRICS.has(name) && !recorded.includes(name)),
        [],
      )
    })
  }

  describe('in runbooks', () => {
    const queries = filesMatching('monitoring/runbooks/*.md').flatMap(file =>
      [...read(file).matchAll(/^ *```promql\n(.*?)^ *```/gms)].map(([, expr = '']) => ({ file, expr: expr.trim() })),
    )

    before(needs('promtool'))

    it('are exposed too: at three in the morning a query that answers nothing misleads', () => {
      assert.ok(queries.length >= 10)
      const unknown = queries.flatMap(({ file, expr }) =>
        metricNamesIn(expr)
          .filter(name => !EMITTED_METRICS.has(name) && !recorded.includes(name))
          .map(name => `${file}: ${name}`),
      )
      assert.deepEqual(unknown, [])
    })

    it('stand in queries that Prometheus understands', async () => {
      const rules = queries.map(({ expr }, index) => ({ record: `runbook:query:${index}`, expr }))
      const path = join(temporaryFolder(), 'runbooks.rules.json')
      writeFileSync(path, JSON.stringify({ groups: [{ name: 'runbooks', rules }] }))
      await runTool('promtool', 'check', 'rules', path)
    })
  })
})
