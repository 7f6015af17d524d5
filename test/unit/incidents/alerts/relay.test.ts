import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { until } from '../../../support/until'
import { fingerprint, type Alert, type Labels } from '../../../../src/incidents/alerts/alert'
import { Relay, type Gathered, type Look } from '../../../../src/incidents/alerts/relay'

const NOW = Date.parse('2026-01-01T00:10:00Z')

describe('the relay of alerts', () => {
  it('hands a new alert on with its evidence, and every later word about it at once', async () => {
    const { relay, said, finish } = start()
    relay.receive([alert()], NOW)
    assert.deepEqual(said, [], 'nothing is said before the evidence is there')
    await finish({ evidence: 'proof' })
    relay.receive([alert()], NOW + 1_000)
    assert.deepEqual(said.map(summaryOf), ['firing proof', 'firing proof'])
  })

  it('says an alert that ended while its evidence was gathered as resolved, and never as firing', async () => {
    const { relay, said, finish } = start()
    relay.receive([alert()], NOW)
    relay.receive([resolved()], NOW)
    await finish({ evidence: 'proof' })
    assert.deepEqual(said.map(summaryOf), ['resolved proof'])
  })

  it('says once more what is only known when an alert is over, after it has said that it is', async () => {
    const { relay, said, finish } = start(undefined, { 'incident 1': { evidence: 'last failure' } })
    relay.receive([alert()], NOW)
    await finish({ evidence: 'proof' })
    relay.receive([resolved()], NOW)
    await until(() => said.length === 3, { what: 'the conclusion' })
    assert.deepEqual(said.map(summaryOf), ['firing proof', 'resolved proof', 'resolved last failure'])
    relay.receive([resolved()], NOW)
    await nextTurn()
    assert.equal(said.length, 3, 'once')
  })

  it('does not believe a firing that is older than the end it has seen', async () => {
    const { relay, said, finish } = start()
    relay.receive([alert()], NOW)
    await finish({ evidence: 'proof' })
    relay.receive([resolved()], NOW)
    relay.receive([alert()], NOW)
    assert.deepEqual(said.map(summaryOf), ['firing proof', 'resolved proof'])
  })

  it('gathers anew when the same alert begins again', async () => {
    const { relay, said, finish } = start()
    relay.receive([alert()], NOW)
    await finish({ evidence: 'first' })
    relay.receive([resolved()], NOW)
    relay.receive([alert({ startsAt: '2026-01-01T00:11:00.000Z' })], NOW + 60_000)
    await finish({ evidence: 'second' })
    assert.deepEqual(said.map(summaryOf), ['firing first', 'resolved first', 'firing second'])
  })

  it('adds nothing to an alert without evidence: its plain copy is with Alertmanager already', async () => {
    const { relay, said, finish } = start()
    relay.receive([alert()], NOW)
    await finish({})
    relay.receive([alert()], NOW)
    assert.deepEqual(said, [])
  })

  it('takes thousands at once, gathers for a few at a time, and says which it could not', async () => {
    const { relay, pending, overloaded } = start()
    relay.receive(
      Array.from({ length: 12_000 }, (_, i) => alert({ labels: { alertname: `A${i}` } })),
      NOW,
    )
    assert.equal(pending.length, 8)
    const { tracked, waiting } = relay.state
    assert.ok(tracked <= 10_000 && waiting <= 1_000)
    assert.equal(overloaded.length, 12_000 - 8 - 1_000)
    while (pending.length > 0) {
      for (const { resolve } of pending.splice(0)) resolve({ annotations: {}, isPartial: false })
      await nextTurn()
    }
    assert.equal(relay.state.gathering, 0)
  })

  it('closes an alert that nobody mentions any more, at its own end', async () => {
    const { relay, over, finish } = start()
    relay.receive([alert()], NOW)
    await finish({})
    relay.forgetOld(NOW + 15 * 60_000)
    assert.deepEqual(over, [])
    relay.forgetOld(NOW + 15 * 60_000 + 1)
    assert.equal(relay.state.tracked, 0)
    assert.deepEqual(
      over.map(({ endsAt }) => endsAt),
      [alert().endsAt],
    )
  })

  it('closes an alert once: what is forgotten after its end is not over again', async () => {
    const { relay, over, finish } = start()
    relay.receive([alert()], NOW)
    await finish({})
    relay.receive([resolved()], NOW)
    relay.receive([], NOW + 3_600_000)
    assert.equal(relay.state.tracked, 0)
    assert.equal(over.length, 1)
  })

  it('hands on the end of an alert that it does not know', () => {
    const { relay, over, said } = start()
    relay.receive([resolved()], NOW)
    assert.deepEqual(over, [resolved()])
    assert.deepEqual(said, [])
  })

  it('compares moments and not how they are written', async () => {
    const { relay, said, over, finish } = start()
    relay.receive([alert({ startsAt: '2026-01-01T01:09:00+01:00' })], NOW)
    await finish({ evidence: 'proof' })
    relay.receive([resolved()], NOW)
    relay.receive([alert({ startsAt: '2026-01-01T02:09:00.000+02:00' })], NOW)
    assert.deepEqual(said.map(summaryOf), ['firing proof', 'resolved proof'])
    assert.equal(over.length, 1)
  })

  it('outlives a gathering that fails, says so and goes on with the others', async () => {
    const { relay, said, failures, finish, fail } = start()
    relay.receive([alert(), alert({ labels: { alertname: 'Other' } })], NOW)
    await fail(new Error('a mistake'))
    await finish({ evidence: 'proof' })
    assert.deepEqual(failures, [new Error('a mistake')])
    assert.deepEqual(said.map(summaryOf), ['firing proof'])
    assert.equal(relay.state.gathering, 0)
  })

  it('keeps no more characters than it has room for, and says which alerts it could not take', () => {
    const { relay, overloaded } = start()
    const summary = 'x'.repeat(60_000)
    const large = Array.from({ length: 1_000 }, (_, i) =>
      alert({ labels: { alertname: `A${i}` }, annotations: { summary } }),
    )
    relay.receive(large, NOW)
    const { tracked } = relay.state
    assert.ok(tracked * 60_000 <= 32 * 1024 * 1024 && tracked > 500, `${tracked} tracked`)
    assert.equal(overloaded.length, 1_000 - tracked)
    relay.receive([], NOW + 3_600_000)
    overloaded.length = 0
    relay.receive([alert()], NOW + 3_600_000)
    assert.deepEqual(overloaded, [], 'what is forgotten makes room')
  })

  describe('after a restart', () => {
    it('tells the evidence of the record at once and does not look for it anew', () => {
      const { relay, said, looks } = start()
      relay.restore(alert({ endsAt: undefined }), found({ evidence: 'of the record' }), NOW)
      assert.deepEqual(said, [], 'nothing is said of an alert before somebody mentions it')
      relay.receive([alert()], NOW)
      assert.deepEqual(said.map(summaryOf), ['firing of the record'])
      assert.deepEqual(looks, [])
    })

    it('looks for what the record does not have', async () => {
      const { relay, said, finish } = start()
      relay.restore(alert(), undefined, NOW)
      relay.receive([alert()], NOW)
      await finish({ evidence: 'proof' })
      assert.deepEqual(said.map(summaryOf), ['firing proof'])
    })

    it('looks anew when the alert ended and began again meanwhile', async () => {
      const { relay, said, finish } = start()
      relay.restore(alert(), found({ evidence: 'of the record' }), NOW)
      relay.receive([alert({ startsAt: '2026-01-01T00:09:30.000Z' })], NOW)
      await finish({ evidence: 'new' })
      assert.deepEqual(said.map(summaryOf), ['firing new'])
    })

    it('tells the end with the evidence of the record', () => {
      const { relay, said, over } = start()
      relay.restore(alert(), found({ evidence: 'of the record' }), NOW)
      relay.receive([resolved()], NOW)
      assert.deepEqual(said.map(summaryOf), ['resolved of the record'])
      assert.deepEqual(over, [resolved()])
    })

    it('closes what nobody mentions for a quarter of an hour', () => {
      const { relay, over } = start()
      relay.restore(alert({ endsAt: undefined }), undefined, NOW)
      relay.forgetOld(NOW + 15 * 60_000 + 1)
      assert.deepEqual(
        over.map(({ endsAt }) => endsAt),
        [new Date(NOW).toISOString()],
      )
    })
  })

  describe('when the evidence is partial', () => {
    it('looks once more, and tells what it has found then', async () => {
      const { relay, said, looks, finish } = start(1)
      relay.receive([alert()], NOW)
      await finish({ evidence: 'half' }, true)
      await until(() => looks.length === 2, { what: 'a second look' })
      await finish({ evidence: 'more' }, true)
      relay.receive([alert()], NOW)
      assert.deepEqual(said.map(summaryOf), ['firing half', 'firing more', 'firing more'])
      assert.deepEqual(looks, ['first', 'again'])
    })

    it('does so after a restart too', async () => {
      const { relay, looks } = start(1)
      relay.restore(alert(), { annotations: { evidence: 'half' }, isPartial: true }, NOW)
      relay.receive([alert()], NOW)
      await until(() => looks.length > 0, { what: 'a second look' })
      assert.deepEqual(looks, ['again'])
    })

    it('does not look again for what is over', async () => {
      // So late that the end, which is told at once, is told before even on a machine that pauses.
      const { relay, looks, finish } = start(500)
      relay.receive([alert()], NOW)
      await finish({ evidence: 'half' }, true)
      relay.receive([resolved(), alert({ labels: { alertname: 'Other' } })], NOW)
      await finish({ evidence: 'half' }, true)
      await until(() => looks.includes('again'), { what: 'the second look for the other one' })
      assert.deepEqual(looks, ['first', 'first', 'again'])
    })

    it('keeps what it has when the second look fails', async () => {
      const { relay, said, looks, finish, fail } = start(1)
      relay.receive([alert()], NOW)
      await finish({ evidence: 'half' }, true)
      await until(() => looks.length === 2, { what: 'a second look' })
      await fail(new Error('a mistake'))
      relay.receive([alert()], NOW)
      assert.deepEqual(said.map(summaryOf), ['firing half', 'firing half'])
    })
  })
})

interface Pending {
  readonly resolve: (gathered: Gathered) => void
  readonly reject: (error: Error) => void
}

interface Started {
  readonly relay: Relay
  readonly said: Alert[]
  readonly over: Alert[]
  readonly overloaded: Alert[]
  readonly failures: unknown[]
  readonly looks: Look[]
  /** One per alert whose evidence is being gathered. */
  readonly pending: Pending[]
  /** Ends the gathering that began first. */
  readonly finish: (evidence: Labels, isPartial?: boolean) => Promise<void>
  readonly fail: (error: Error) => Promise<void>
}

function start(lookAgainMs?: number, conclusions: Readonly<Record<string, Labels>> = {}): Started {
  const said: Alert[] = []
  const over: Alert[] = []
  const overloaded: Alert[] = []
  const failures: unknown[] = []
  const looks: Look[] = []
  const pending: Pending[] = []
  const relay = new Relay({
    gather: (_alert, look) => {
      looks.push(look)
      return new Promise((resolve, reject) => pending.push({ resolve, reject }))
    },
    tell: (key, told) => {
      assert.equal(key, fingerprint(told))
      said.push(told)
    },
    onResolved: ended => `incident ${over.push(ended)}`,
    conclude: async (_alert, incidentId) => conclusions[incidentId],
    onOverload: lost => overloaded.push(lost),
    onFailure: (_alert, error) => failures.push(error),
    ...(lookAgainMs !== undefined && { lookAgainMs }),
  })
  return {
    relay,
    said,
    over,
    overloaded,
    failures,
    looks,
    pending,
    finish: async (annotations, isPartial = false) => {
      pending.shift()?.resolve({ annotations, isPartial })
      await nextTurn()
    },
    fail: async error => {
      pending.shift()?.reject(error)
      await nextTurn()
    },
  }
}

function found(annotations: Labels): Gathered {
  return { annotations, isPartial: false }
}

function alert(other: Partial<Alert> = {}): Alert {
  return {
    labels: { alertname: 'GatewayHttp500Spike' },
    annotations: { summary: 'many' },
    startsAt: '2026-01-01T00:09:00.000Z',
    endsAt: '2026-01-01T00:14:00.000Z',
    generatorURL: '',
    ...other,
  }
}

function resolved(): Alert {
  return alert({ endsAt: '2026-01-01T00:09:59.000Z' })
}

function summaryOf({ endsAt, annotations }: Alert): string {
  return `${Date.parse(endsAt ?? '') <= NOW ? 'resolved' : 'firing'} ${annotations['evidence']}`
}
