import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REASONS } from '../../src/errors/reasons'
import { findBinary, findOlderTool } from '../../tools/stack/binaries'
import { needs, needsOlder } from '../support/needs'
import { passRuleTests, readRuleFile } from './rule-tests'
import { runTool, runToolAt } from './run-tool'
import { ROOT, alertsIn, filesMatching, read, readYaml, ruleFiles, ruleTestFiles } from './monitoring-files'

const UNIT_TESTS = ruleTestFiles()

describe('Prometheus rules', () => {
  describe('read by promtool', function () {
    // A program of its own for each of them, on a machine that may be busy.
    this.timeout(60_000)

    before(needs('promtool'))

    it('takes prometheus.yml with the rule files it names', async () => {
      assert.match(await runTool('promtool', 'check', 'config', 'monitoring/prometheus.yml'), /alert_rules\.yml/)
    })

    it('finds nothing to complain about in the rules', async () => {
      await runTool('promtool', 'check', 'rules', '--lint=all', '--lint-fatal', ...ruleFiles())
    })

    for (const file of UNIT_TESTS) {
      it(`passes the unit tests of ${file.replace(/^.*\//, '')}`, async () => {
        await passRuleTests((await findBinary('promtool')).path, file, read(file), readRuleFile)
      })
    }
  })

  describe('read by the older promtool of the Debian release', function () {
    // The package may have to be fetched.
    this.timeout(600_000)

    before(needsOlder('promtool'))

    it('load with the configuration', async () => {
      await runToolAt((await findOlderTool('promtool')).path, 'check', 'config', 'monitoring/prometheus.yml')
    })

    // Of the generated ones those of the pages: the tickets take as long again, and have no other functions.
    for (const file of UNIT_TESTS.filter(path => !path.endsWith('slo-tickets.test.yml'))) {
      it(`pass the unit tests of ${file.replace(/^.*\//, '')}`, async () => {
        await passRuleTests((await findOlderTool('promtool')).path, file, read(file), readRuleFile)
      })
    }
  })

  for (const alert of ruleFiles().flatMap(alertsIn)) {
    describe(`alert ${alert.alert}`, () => {
      const { labels = {}, annotations = {} } = alert

      it('says how bad it is, what it is about, and how long it must last', () => {
        assert.match(alert.alert, /^([A-Z][a-z0-9]+)+$/)
        assert.match(labels['severity'] ?? '', /^(critical|warning|info|none)$/)
        assert.match(labels['component'] ?? '', /^(gateway|redis|monitoring)$/)
        assert.match(labels['family'] ?? '', /^[a-z-]+$/)
        assert.ok(alert.for !== undefined, 'no `for`: write 0s where none is wanted')
        // With values in it, the subject of a mail would change with every evaluation.
        assert.ok(
          annotations['summary'] !== undefined && !annotations['summary'].includes('{{'),
          annotations['summary'],
        )
        assert.ok((annotations['description'] ?? '').length > 20)
      })

      it('names a runbook that exists and answers the four questions', () => {
        const path = annotations['runbook_url'] ?? ''
        assert.equal(path, `monitoring/runbooks/${alert.alert}.md`)
        assert.ok(existsSync(join(ROOT, path)), `${path} is missing`)
        const page = readFileSync(join(ROOT, path), 'utf8')
        assert.ok(page.startsWith(`# ${alert.alert}\n`), 'the page is not named as its alert')
        for (const heading of ['Meaning', 'Impact', 'Diagnosis', 'Mitigation']) {
          assert.match(page, new RegExp(`^## ${heading}\n\n\\S`, 'm'), `${path} says nothing under ${heading}`)
        }
      })

      it('is tested: it fires, and it stays silent', () => {
        const cases = UNIT_TESTS.flatMap(casesIn).filter(({ alertname }) => alertname === alert.alert)
        assert.ok(
          cases.some(({ exp_alerts: expected }) => expected.length > 0),
          'no test sees it fire',
        )
        // The watchdog has no condition.
        if (alert.alert === 'Watchdog') return
        assert.ok(
          cases.filter(({ exp_alerts: expected }) => expected.length === 0).length >= 2,
          'no test sees it silent before and after',
        )
      })
    })
  }

  it('can say which traces failed in every alert about requests of a route, and in no other', () => {
    for (const { alert, expr, annotations = {} } of ruleFiles().flatMap(alertsIn)) {
      const query = annotations['exemplar_query']
      assert.equal(query !== undefined, /by \(job, http_route/.test(expr), alert)
      // query_exemplars takes selectors alone, and exemplars live on buckets.
      if (query !== undefined) assert.match(query, /^[a-z_]+_bucket\{.*\}$/, alert)
    }
  })

  it('explains every reason where people look for it: faults and refusals, each in their runbook', () => {
    const faults = read('monitoring/runbooks/GatewayHttp500Spike.md')
    const refusals = read('monitoring/runbooks/GatewayRequestsRefused.md')
    for (const [reason, { outcome }] of Object.entries(REASONS)) {
      // Limits, load, a gateway that shuts down and maintenance are not what GatewayRequestsRefused is about.
      if (['limited', 'draining', 'maintenance', 'shed'].includes(reason)) continue
      const page = outcome === 'fault' ? faults : refusals
      assert.ok(page.includes(`\`${reason}\``), `${reason} is not explained`)
    }
  })

  it('has no runbook without an alert', () => {
    const alerts = ruleFiles()
      .flatMap(alertsIn)
      .map(({ alert }) => `monitoring/runbooks/${alert}.md`)
    assert.deepEqual(
      filesMatching('monitoring/runbooks/*.md').filter(page => !alerts.includes(page)),
      [],
    )
  })

  it('has durations that a test can shorten by one factor: whole seconds', () => {
    const odd = ['monitoring/prometheus.yml', 'monitoring/alert_rules.yml', 'monitoring/alertmanager.yml'].flatMap(
      file => durationsIn(file).filter(({ seconds }) => !Number.isInteger(seconds)),
    )
    assert.deepEqual(odd, [])
  })

  it('lists every alert in docs/alerts.md as it is', () => {
    const table = read('docs/alerts.md')
    for (const { alert, labels, for: hold } of ruleFiles().flatMap(alertsIn)) {
      const row = table.split('\n').find(line => line.startsWith(`| [${alert}](`))
      assert.ok(row !== undefined, `${alert} is not in the table`)
      const cells = row.split('|').map(cell => cell.trim())
      assert.equal(cells[2], labels?.['severity'], `severity of ${alert}`)
      assert.equal(cells[4], hold, `hold of ${alert}`)
    }
  })
})

interface AlertCase {
  readonly alertname: string
  readonly exp_alerts: readonly unknown[]
}

function casesIn(file: string): AlertCase[] {
  const { tests } = readYaml(file) as {
    tests: { alert_rule_test?: AlertCase[]; promql_expr_test?: { expr: string; exp_samples: unknown[] }[] }[]
  }
  return tests.flatMap(({ alert_rule_test: alerts = [], promql_expr_test: expressions = [] }) => [
    ...alerts,
    ...expressions.flatMap(({ expr, exp_samples: samples }) => {
      const [, alertname] = /ALERTS\{alertname="(\w+)",alertstate="firing"\}/.exec(expr) ?? []
      return alertname === undefined ? [] : [{ alertname, exp_alerts: samples }]
    }),
  ])
}

/** Durations in values and in the brackets of PromQL, comments aside. */
function durationsIn(file: string): { file: string; text: string; seconds: number }[] {
  const unit: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }
  const text = read(file).replaceAll(/^\s*#.*$/gm, '')
  return [...text.matchAll(/(?<=: |\[)(\d+)(ms|s|m|h|d)(?=[\]\s,}])/g)].map(([found, number, name]) => ({
    file,
    text: found,
    seconds: Number(number) * (unit[name ?? ''] ?? Number.NaN),
  }))
}
