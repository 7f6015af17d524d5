import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Alert, Labels } from '../../../../src/incidents/alerts/alert'
import { Relay } from '../../../../src/incidents/alerts/relay'

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
      for (const gathered of pending.splice(0)) gathered({})
      await nextTurn()
    }
    assert.equal(relay.state.gathering, 0)
  })

  it('forgets alerts that nobody mentions any more', async () => {
    const { relay, finish } = start()
    relay.receive([alert()], NOW)
    await finish({})
    relay.receive([], NOW + 3_600_000)
    assert.equal(relay.state.tracked, 0)
  })
})

interface Started {
  readonly relay: Relay
  readonly said: Alert[]
  readonly overloaded: Alert[]
  /** One per alert whose evidence is being gathered. */
  readonly pending: ((evidence: Labels) => void)[]
  /** Ends the gathering that began first. */
  readonly finish: (evidence: Labels) => Promise<void>
}

function start(): Started {
  const said: Alert[] = []
  const overloaded: Alert[] = []
  const pending: ((evidence: Labels) => void)[] = []
  const relay = new Relay({
    gather: () => new Promise(resolve => pending.push(resolve)),
    tell: (_fingerprint, told) => said.push(told),
    onResolved: () => undefined,
    onOverload: lost => overloaded.push(lost),
  })
  return {
    relay,
    said,
    overloaded,
    pending,
    finish: async evidence => {
      pending.shift()?.(evidence)
      await nextTurn()
    },
  }
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
