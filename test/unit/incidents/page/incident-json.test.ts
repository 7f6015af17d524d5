import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { incidentAnswer, incidentJsonSchema, toIncidentAnswer } from '../../../../src/incidents/page/incident-json'
import { alertRecord, BEGAN, incidentRecord } from '../../../support/incident-record'

const SCHEMA = join(__dirname, '../../../../../docs/incident.schema.json')

describe('an incident for programs', () => {
  it('is what docs/incident.schema.json describes (npm run schema)', () => {
    assert.equal(readFileSync(SCHEMA, 'utf8'), incidentJsonSchema())
  })

  for (const [what, incident] of [
    ['open', incidentRecord()],
    ['closed', incidentRecord({ closedAtMs: BEGAN + 300_000 })],
    ['without evidence', incidentRecord({ alerts: [alertRecord({}, { evidence: undefined })] })],
  ] as const) {
    it(`has every field in the schema, and no other: ${what}`, () => {
      const answer: unknown = JSON.parse(JSON.stringify(toIncidentAnswer(incident, BEGAN + 360_000)))
      // What the schema does not know, the parser leaves out.
      assert.deepEqual(incidentAnswer.parse(answer), answer)
    })
  }

  it('says in words what is different', () => {
    const { differences } = incidentAnswer.parse(
      JSON.parse(JSON.stringify(toIncidentAnswer(incidentRecord(), BEGAN + 360_000))),
    )
    assert.deepEqual(differences, [
      '38 of 40 failing requests went to 10.0.0.7:9001 (32 % of the good ones did; the same requests: release 1.4.2)',
    ])
  })
})
