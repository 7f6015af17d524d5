import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { namesInTelemetryDocs } from '../../support/documented-names'

const SOURCE = readFileSync(join(__dirname, '../../../..', 'src/incidents/telemetry.ts'), 'utf8')
/** The exposition writes underscores, and the unit or `total` behind them. */
const INSTRUMENTS = [...SOURCE.matchAll(/'(incidents\.[a-z.]+)'/g)].map(([, name = '']) => name.replaceAll('.', '_'))

describe('docs/telemetry.md', () => {
  const documented = [...namesInTelemetryDocs()].filter(name => /^incidents_\w+$/.test(name))

  it('has every metric of the incident service, and none that it has not', () => {
    assert.deepEqual(documented.map(name => name.replace(/_(?:total|seconds)$/, '')).sort(), INSTRUMENTS.sort())
    assert.equal(INSTRUMENTS.length, 7)
  })
})
