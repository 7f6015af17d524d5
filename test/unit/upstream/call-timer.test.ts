import assert from 'node:assert/strict'
import { CallTimer, type TimedCall } from '../../../src/upstream/call-timer'

/** A clock that is moved by hand, in place of setTimeout: what has a `refresh()` is kept in time by it. */
class FakeClock {
  readonly #original = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setImmediate: globalThis.setImmediate,
  }
  readonly #timers = new Set<{ due: number; act: () => void }>()
  /** What happens between the timers and what comes after them: bytes that arrive. */
  onPoll = (): void => undefined
  #now = 0

  install(): void {
    const start = (act: (argument: unknown) => void, ms: number, argument: unknown): object => {
      const timer = { due: this.#now + ms, act: () => act(argument), refresh: () => (timer.due = this.#now + ms) }
      this.#timers.add(timer)
      return timer
    }
    Object.assign(globalThis, {
      setTimeout: start,
      clearTimeout: (timer: { due: number; act: () => void }) => this.#timers.delete(timer),
      setImmediate: (act: () => void) => {
        this.onPoll()
        act()
      },
    })
  }

  uninstall(): void {
    Object.assign(globalThis, this.#original)
  }

  get running(): number {
    return this.#timers.size
  }

  pass(ms: number): void {
    for (const end = this.#now + ms; this.#now < end;) {
      this.#now++
      for (const timer of this.#timers) {
        if (timer.due === this.#now) timer.act()
      }
    }
  }
}

describe('the timer of a call', () => {
  const clock = new FakeClock()
  let call: TimedCall & { isClientsTurn: boolean; silent: string[] }
  let timer: CallTimer

  beforeEach(() => {
    clock.install()
    call = {
      isClientsTurn: false,
      silent: [],
      onSilence: who => {
        call.silent.push(who)
        timer.stop()
      },
    }
    timer = new CallTimer(call, { upstreamMs: 30, clientMs: 60 })
    timer.start()
  })
  afterEach(() => {
    timer.stop()
    clock.uninstall()
    assert.equal(clock.running, 0)
  })

  it('ends it when the upstream keeps silent', () => {
    clock.pass(29)
    assert.deepEqual(call.silent, [])
    clock.pass(1)
    assert.deepEqual(call.silent, ['upstream'])
  })

  it('begins anew with every movement', () => {
    clock.pass(29)
    timer.moved()
    clock.pass(29)
    assert.deepEqual(call.silent, [])
    clock.pass(1)
    assert.deepEqual(call.silent, ['upstream'])
  })

  it('does not hold against the upstream what the client owes', () => {
    call.isClientsTurn = true
    clock.pass(59)
    assert.deepEqual(call.silent, [])
    call.isClientsTurn = false
    timer.moved()
    clock.pass(30)
    assert.deepEqual(call.silent, ['upstream'])
  })

  it('ends it when the client keeps silent for longer', () => {
    call.isClientsTurn = true
    clock.pass(59)
    assert.deepEqual(call.silent, [])
    clock.pass(1)
    assert.deepEqual(call.silent, ['client'])
  })

  it('is patient with a client that moves now and then', () => {
    call.isClientsTurn = true
    for (let i = 0; i < 5; i++) {
      clock.pass(50)
      timer.moved()
    }
    assert.deepEqual(call.silent, [])
  })

  it('looks at what has arrived before it ends anything: the process itself may have paused', () => {
    clock.onPoll = () => timer.moved()
    clock.pass(30)
    assert.deepEqual(call.silent, [])
    clock.onPoll = () => undefined
    clock.pass(30)
    assert.deepEqual(call.silent, ['upstream'])
  })

  it('is silent once stopped', () => {
    timer.stop()
    timer.moved()
    clock.pass(1_000)
    assert.deepEqual(call.silent, [])
  })
})
