import assert from 'node:assert/strict'
import { resolve } from 'node:path'

interface Row {
  readonly name: string
  readonly label: string
  readonly process: { readonly name: string }
  readonly isGateway: boolean
  readonly oldOf?: string
}
interface Batch {
  readonly reference: Row
  readonly rows: readonly Row[]
}

// The bench runs from its sources; compiled, this file is dist/test/unit/bench/batches.test.js.
const { besideOld, inParts } = require(resolve(__dirname, '../../../../bench/groups.ts')) as {
  readonly besideOld: (batch: Batch, old: Batch) => Batch
  readonly inParts: (batch: Batch, maxProcesses: number) => Batch[]
}

function row(name: string, isGateway = true, process = name): Row {
  return { name, label: name, process: { name: process }, isGateway }
}

function batch(...rows: readonly Row[]): Batch {
  return { reference: row('bare', false), rows: [row('bare-again', false), ...rows] }
}

function names({ rows }: Batch): string[] {
  return rows.map(({ name }) => name)
}

describe('the rows of a batch', () => {
  it('has the old row after the new one for each gateway, and for nothing else', () => {
    const both = besideOld(batch(row('off'), row('nginx', false)), batch(row('off'), row('nginx', false)))
    assert.deepEqual(names(both), ['bare-again', 'off', 'off@old', 'nginx'])
    assert.equal(both.rows[2]?.oldOf, 'off')
    assert.equal(both.rows[2]?.process.name, 'off@old')
  })

  it('is measured in parts of so many processes, with the error row in each and pairs together', () => {
    const rows = ['a', 'b', 'c', 'd'].map(name => row(name))
    const parts = inParts(besideOld(batch(...rows), batch(...rows)), 7)
    assert.deepEqual(parts.map(names), [
      ['bare-again', 'a', 'a@old', 'b', 'b@old'],
      ['bare-again', 'c', 'c@old', 'd', 'd@old'],
    ])
  })

  it('counts a process that several rows share once', () => {
    const rows = ['a', 'b', 'c', 'd'].map(name => row(name, true, 'shared'))
    assert.equal(inParts(batch(...rows), 3).length, 1)
  })
})
