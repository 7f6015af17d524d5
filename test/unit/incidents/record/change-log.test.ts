import assert from 'node:assert/strict'
import { ChangeLog, MAX_CHANGES, parseChange, type PostedChange } from '../../../../src/incidents/record/change-log'

const NOW = Date.UTC(2026, 10, 30, 15, 0, 0)

describe('a posted change', () => {
  it('is a sentence, with a time and an upstream if they are given', () => {
    assert.deepEqual(parseChange({ what: ' orders 1.4.2 ' }, NOW), { change: { timeMs: NOW, what: 'orders 1.4.2' } })
    const change = { what: 'orders 1.4.2', time: '2026-11-30T15:59:00+01:00', upstream: 'orders' }
    assert.deepEqual(parseChange(change, NOW), {
      change: { timeMs: NOW - 60_000, what: 'orders 1.4.2', upstream: 'orders' },
    })
  })

  for (const [body, problem] of [
    [undefined, /expected object/],
    [{ what: '' }, /^what /],
    [{ what: 'x'.repeat(201) }, /^what /],
    [{ what: 'x', time: 'yesterday' }, /^time /],
    [{ what: 'x', time: '2026-11-30T15:06:00Z' }, /future/],
    [{ what: 'x', time: '2026-11-20T15:00:00Z' }, /7 days/],
    [{ what: 'x', upstrem: 'orders' }, /upstrem/],
  ] as const) {
    it(`is refused with the reason: ${JSON.stringify(body)?.slice(0, 60)}`, () => {
      const parsed = parseChange(body, NOW)
      assert.match('problem' in parsed ? parsed.problem : '', problem)
    })
  }
})

describe('the log of posted changes', () => {
  it('has those of a time that concern an upstream, also those posted to another instance', async () => {
    const stored: PostedChange[] = [{ timeMs: NOW - 5_000, what: 'posted elsewhere' }]
    const log = new ChangeLog({ addChange: async () => undefined, changes: async () => stored }, fail)
    await log.add({ timeMs: NOW - 9_000, what: 'users 2', upstream: 'users' })
    await log.add({ timeMs: NOW - 8_000, what: 'orders 2', upstream: 'orders' })
    await log.add({ timeMs: NOW - 8_000, what: 'orders 2', upstream: 'orders' })
    await log.add({ timeMs: NOW - 90_000, what: 'too early' })
    const found = await log.between(NOW - 60_000, NOW, 'orders')
    assert.deepEqual(
      found.map(({ what }) => what),
      ['orders 2', 'posted elsewhere'],
    )
  })

  it('keeps the newest in memory while the store is down, reads it once for alerts at once, and says that it is', async () => {
    const failures: unknown[] = []
    let reads = 0
    const store = {
      addChange: async () => Promise.reject(new Error('down')),
      changes: async () => {
        reads++
        return Promise.reject<PostedChange[]>(new Error('down'))
      },
    }
    const log = new ChangeLog(store, error => failures.push(error))
    for (let index = 0; index < MAX_CHANGES + 5; index++) await log.add({ timeMs: NOW + index, what: String(index) })
    const lists = await Promise.all(Array.from({ length: 300 }, async () => log.between(0, NOW + 10_000)))
    assert.equal(lists[0]?.length, MAX_CHANGES)
    assert.equal(lists[0]?.[0]?.what, '5')
    assert.equal(reads, 1)
    assert.equal(failures.length, MAX_CHANGES + 6)
  })
})

function fail(error: unknown): void {
  assert.fail(String(error))
}
