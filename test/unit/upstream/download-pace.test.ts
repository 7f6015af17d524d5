import assert from 'node:assert/strict'
import { countDownload, endDownload, expectDownload, expectEnd } from '../../../src/upstream/download-pace'
import { until } from '../../support/until'

describe('the pace of a download', () => {
  const least = { bytesPerSecond: 1_000, perMs: 500 }

  function response(): { paceIndex: number; takeBy: number; isTaken: boolean; disconnects: number; onTooSlow(): void } {
    return {
      paceIndex: -1,
      takeBy: Infinity,
      isTaken: false,
      disconnects: 0,
      onTooSlow() {
        this.disconnects++
      },
    }
  }

  it('cuts off a client that takes nothing, once', async () => {
    const [stalled, gone, taken] = [response(), response(), response()]
    for (const one of [stalled, gone, taken]) expectDownload(one, least)
    endDownload(gone)
    taken.isTaken = true
    await until(() => stalled.disconnects === 1 && taken.paceIndex === -1, { what: 'a look at them' })
    assert.deepEqual(
      [stalled, gone, taken].map(({ disconnects, paceIndex }) => [disconnects, paceIndex]),
      [
        [1, -1],
        [0, -1],
        [0, -1],
      ],
    )
  })

  it('gives time for what was taken, and never more than at the start', () => {
    const one = response()
    expectDownload(one, least)
    const first = one.takeBy
    one.takeBy -= 400
    countDownload(one, 100, least)
    assert.equal(one.takeBy, first - 300)
    countDownload(one, 1_000_000, least)
    assert.ok(one.takeBy <= performance.now() + least.perMs)
    endDownload(one)
  })

  it('goes on counting when the client has caught up for a moment', () => {
    const one = response()
    expectDownload(one, least)
    one.takeBy -= 400
    endDownload(one)
    expectDownload(one, least)
    assert.ok(one.takeBy <= performance.now() + 100)
    endDownload(one)
  })

  it('takes any byte for enough where there is no least pace', () => {
    const one = response()
    const any = { ...least, bytesPerSecond: 0 }
    expectDownload(one, any)
    one.takeBy = 0
    countDownload(one, 1, any)
    assert.ok(one.takeBy > performance.now())
    endDownload(one)
    expectEnd(one, 1_000, any)
    assert.equal(one.paceIndex, -1)
  })

  it('gives the end of a response the time that it takes at the least pace', () => {
    const one = response()
    expectEnd(one, 10_000, least)
    assert.ok(one.takeBy > performance.now() + 10_000)
    endDownload(one)
  })
})
