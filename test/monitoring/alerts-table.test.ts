import assert from 'node:assert/strict'
import { NOT_PROVOKED } from '../alerts/not-provoked'
import { ruleHash } from '../alerts/rules-hash'
import { alertsIn, read, ruleFiles } from './monitoring-files'

describe('docs/alerts-tested.md', () => {
  const page = read('docs/alerts-tested.md')
  const provoked = [...page.matchAll(/^\| (?!Alert )(\w+) \|[^|]+\| (\S[^|]*) \|[^|]+\| (\S[^|]*) \| `(\w+)` \|$/gm)]

  it('was made from these rules: npm run alerts:test -- ALERT', () => {
    const outdated = provoked.filter(([, alert = '', , , hash]) => hash !== ruleHash(alert)).map(([, alert]) => alert)
    assert.deepEqual(outdated, [], 'these rules have changed since their run')
  })

  it('has every alert: provoked until its message arrived and resolved, or with the reason why not', () => {
    const names = provoked.map(([, alert]) => alert)
    const missing = [
      ...new Set(
        ruleFiles()
          .flatMap(alertsIn)
          .map(({ alert }) => alert),
      ),
    ].filter(alert => !names.includes(alert) && NOT_PROVOKED[alert] === undefined)
    assert.deepEqual(missing, [])
    for (const [row, , toMessage, toResolved] of provoked) {
      assert.match(toMessage ?? '', /^\d+$/, row)
      assert.match(toResolved ?? '', /^(?:\d|with its gateway|not waited for)/, row)
    }
  })

  it('gives no reason for an alert that was provoked, or that does not exist', () => {
    const alerts = ruleFiles()
      .flatMap(alertsIn)
      .map(({ alert }) => alert)
    const names = provoked.map(([, alert]) => alert)
    for (const alert of Object.keys(NOT_PROVOKED)) {
      assert.ok(alerts.includes(alert) && !names.includes(alert), alert)
    }
  })
})
