import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needs } from '../support/needs'
import { temporaryFolder } from '../support/temporary-folder'
import { ROOT } from './monitoring-files'
import { runTool } from './run-tool'

describe('GatewaySeriesNearLimit', function () {
  this.timeout(60_000)

  before(needs('promtool'))

  it('fires with 1601 series of a metric, and stays silent with 1600', async () => {
    const series = (instance: string, count: number): object[] =>
      Array.from({ length: count }, (_, route) => ({
        series: `gateway_requests_total{job="myesi-api",instance="${instance}",http_route="/r${route}"}`,
        values: '1x50',
      }))
    const test = {
      interval: '15s',
      input_series: [...series('below', 1_600), ...series('above', 1_601)],
      promql_expr_test: [
        {
          expr: 'count by (instance, metric) (ALERTS{alertname="GatewaySeriesNearLimit",alertstate="firing"})',
          eval_time: '11m',
          exp_samples: [{ labels: '{instance="above",metric="gateway_requests_total"}', value: 1 }],
        },
      ],
    }
    const file = join(temporaryFolder(), 'series.test.yml')
    const rules = join(ROOT, 'monitoring/alert_rules.yml')
    writeFileSync(file, JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests: [test] }))
    await runTool('promtool', 'test', 'rules', file)
  })
})
