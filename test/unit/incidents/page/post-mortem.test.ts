import assert from 'node:assert/strict'
import { postMortem } from '../../../../src/incidents/page/post-mortem'
import { alertRecord, BEGAN, hostileRecord, incidentRecord } from '../../../support/incident-record'

const NOW = BEGAN + 360_000

describe('the beginning of a post-mortem', () => {
  it('has impact, what was different, timeline and traces, and leaves the cause to people', () => {
    const { evidence } = alertRecord()
    assert.ok(evidence)
    const alerts = [
      alertRecord({}, { endsAtMs: BEGAN + 300_000, evidence: { ...evidence, lastBadMs: BEGAN + 95_000 } }),
    ]
    const markdown = postMortem(incidentRecord({ alerts, closedAtMs: BEGAN + 300_000 }), NOW)
    assert.match(markdown, /^# GatewayHttp500Spike \/orders \(orders\)\n/)
    assert.match(markdown, /^- Duration: 1 min 35 s$/m)
    assert.match(markdown, /^- 28 of 40: orders → 10\.0\.0\.7:9001 broke the connection, route `\/orders`$/m)
    assert.match(markdown, /^- 38 of 40 failing requests went to 10\.0\.0\.7:9001 \(32 % of the good ones did/m)
    assert.match(markdown, /^- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d Last failure$/m)
    assert.match(markdown, /^- `4bf92f3577b34da6a3ce929d0e0e4736` POST \/orders\/17 503$/m)
    assert.match(markdown, /^- Cause:$/m)
  })

  it('is text alone, whatever stands in the record', () => {
    const markdown = postMortem(hostileRecord('](javascript:x)<img src=x>\n# taken ![x](y)'), NOW)
    assert.doesNotMatch(markdown, /^# taken/m)
    const outsideCode = markdown.replaceAll(/`[^`]*`/g, '')
    assert.doesNotMatch(outsideCode, /(?<!\\)\]\(|(?<!\\)<img|(?<!\\)!\[/)
  })
})
