import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { drops, toHeaderEdits } from '../../src/exchange/header-edits'
import { holds } from './properties'

const names = fc.constantFrom('x-a', 'x_a', 'x-b', 'x-b_c', 'x_b-c', 'accept', 'x')
const fields = fc.array(fc.record({ name: names, value: fc.string({ maxLength: 3 }) }), { maxLength: 4 })

describe('any header edits', () => {
  it('drop exactly what is set or removed, however it spells its dashes', () => {
    holds(
      fc.property(fields, fields, fc.array(names, { maxLength: 3 }), names, (set, add, remove, name) => {
        const edits = toHeaderEdits({ set, add, remove })
        assert.ok(edits !== undefined)
        const dashed = (one: string): string => one.replaceAll('_', '-')
        const named = [...remove, ...set.map(field => field.name)]
        // `X_A` is `X-A` for CGI; the other way round no server takes one for the other.
        const expected = named.includes(name) || named.map(dashed).includes(dashed(name))
        assert.equal(drops(edits, name), expected)
      }),
    )
  })

  it('add and set every field that the file names, once and in its order', () => {
    holds(
      fc.property(fields, fields, (set, add) => {
        const edits = toHeaderEdits({ set, add, remove: [] })
        assert.deepEqual(
          edits?.set,
          set.flatMap(({ name, value }) => [name, value]),
        )
        assert.deepEqual(
          edits?.added,
          add.flatMap(({ name, value }) => [name, value]),
        )
      }),
    )
  })
})
