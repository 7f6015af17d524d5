import assert from 'node:assert/strict'
import { SharedAnswers } from '../../../../src/incidents/evidence/shared-answers'
import { until } from '../../../support/until'

/** Never aborted: the suite may have run for many minutes before this file. */
const SIGNAL = new AbortController().signal

describe('shared answers', () => {
  it('ask once for all who want the same within seconds', async () => {
    const answers = new SharedAnswers()
    let asked = 0
    const ask = async (): Promise<{ answer: number; bytes: number }> => ({ answer: ++asked, bytes: 1 })
    const found = await Promise.all([1, 2, 3].map(async () => answers.get('a', SIGNAL, ask)))
    assert.deepEqual([...found, await answers.get('a', SIGNAL, ask)], [1, 1, 1, 1])
    assert.equal(await answers.get('b', SIGNAL, ask), 2)
  })

  it('ask again after a failure, and once an answer is old', async () => {
    const answers = new SharedAnswers(1)
    let asked = 0
    const ask = async (): Promise<{ answer: number; bytes: number }> => {
      if (++asked === 1) throw new Error('no')
      return { answer: asked, bytes: 1 }
    }
    await assert.rejects(answers.get('a', SIGNAL, ask), /no/)
    assert.equal(await answers.get('a', SIGNAL, ask), 2)
    await until(async () => (await answers.get('a', SIGNAL, ask)) > 2, { what: 'it is asked again' })
  })

  it('go on for the others when one of them gives up', async () => {
    const answers = new SharedAnswers()
    const { promise, resolve } = Promise.withResolvers<{ answer: string; bytes: number }>()
    const giver = new AbortController()
    const [given, other] = [giver.signal, SIGNAL].map(async signal => answers.get('a', signal, () => promise))
    giver.abort(new Error('given up'))
    await assert.rejects(given as Promise<string>, /given up/)
    resolve({ answer: 'here', bytes: 4 })
    assert.equal(await other, 'here')
  })

  it('are bounded in number and in size, and questions are asked a few at a time', async () => {
    const answers = new SharedAnswers()
    let [asking, most, asked] = [0, 0, 0]
    const ask = (bytes: number) => async () => {
      most = Math.max(most, ++asking)
      asked++
      await new Promise<void>(resolve => setImmediate(resolve))
      asking--
      return { answer: '', bytes }
    }
    await Promise.all(Array.from({ length: 1_200 }, async (_, index) => answers.get(`${index}`, SIGNAL, ask(1))))
    assert.ok(most <= 16, `${most} at once`)
    await answers.get('0', SIGNAL, ask(1))
    assert.equal(asked, 1_201, 'the oldest is asked again')
    await answers.get('large', SIGNAL, ask(1e9))
    await answers.get('1199', SIGNAL, ask(1))
    assert.equal(asked, 1_203, 'a huge answer leaves no room for others')
  })

  it('keep what many want, however many others are asked for once', async () => {
    const answers = new SharedAnswers()
    let asked = 0
    const askCommon = async (): Promise<{ answer: number; bytes: number }> => ({ answer: ++asked, bytes: 1 })
    for (let index = 0; index < 1_500; index++) {
      await answers.get('common', SIGNAL, askCommon)
      await answers.get(`${index}`, SIGNAL, async () => ({ answer: '', bytes: 100_000 }))
    }
    assert.equal(asked, 1)
  })
})
