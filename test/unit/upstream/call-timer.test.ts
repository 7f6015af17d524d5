import assert from 'node:assert/strict'
import { CallTimer, SilenceWatch, type TimedCall } from '../../../src/upstream/call-timer'

/** A clock that is moved by hand. */
class FakeClock {
  readonly #original = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setImmediate: globalThis.setImmediate,
  }
  readonly #timers = new Set<{ due: number; act: () => void }>()
  readonly #immediates: (() => void)[] = []
  /** What happens between the timers and what comes after them: bytes that arrive. */
  onPoll = (): void => undefined
  #now = 0

  install(): void {
    const start = (act: (argument: unknown) => void, ms: number, argument: unknown): object => {
      const timer = { due: this.#now + Math.max(1, ms), act: () => act(argument), unref: () => timer }
      this.#timers.add(timer)
      return timer
    }
    Object.assign(globalThis, {
      setTimeout: start,
      clearTimeout: (timer: { due: number; act: () => void }) => this.#timers.delete(timer),
      setImmediate: (act: (argument: unknown) => void, argument: unknown) => {
        this.#immediates.push(() => act(argument))
      },
    })
    Object.defineProperty(performance, 'now', { value: () => this.#now, configurable: true })
  }

  uninstall(): void {
    Object.assign(globalThis, this.#original)
    Reflect.deleteProperty(performance, 'now')
  }

  get running(): number {
    return this.#timers.size
  }

  /** The process does nothing but one thing for so long. */
  stall(ms: number): void {
    this.#now += ms
  }

  pass(ms: number): void {
    for (const end = this.#now + ms; this.#now < end;) {
      this.#now++
      for (const timer of this.#timers) {
        if (timer.due > this.#now) continue
        this.#timers.delete(timer)
        timer.act()
      }
      if (this.#immediates.length > 0) this.onPoll()
      for (const act of this.#immediates.splice(0)) act()
    }
  }
}

describe('the timer of a call', () => {
  const clock = new FakeClock()
  let watch: SilenceWatch
  let call: TimedCall & { isClientsTurn: boolean; silent: string[] }
  let timer: CallTimer

  beforeEach(() => {
    clock.install()
    clock.onPoll = () => undefined
    watch = new SilenceWatch()
    ;({ call, timer } = startCall(30))
  })
  afterEach(() => {
    timer.stop()
    clock.pass(1_000)
    clock.uninstall()
    assert.equal(clock.running, 0, 'it goes on looking with nothing to look at')
  })

  function startCall(upstreamMs: number): { call: typeof call; timer: CallTimer } {
    const silentCall: typeof call = {
      isClientsTurn: false,
      silent: [],
      onSilence: who => {
        silentCall.silent.push(who)
        silentTimer.stop()
      },
    }
    const silentTimer = new CallTimer(silentCall, { upstreamMs, clientMs: 60 }, watch)
    silentTimer.start()
    return { call: silentCall, timer: silentTimer }
  }

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

  it('waits for what has arrived also where it became due while others were looked at', () => {
    const other = startCall(32)
    // Bytes of the other one are there by 31, and are read only after something that has taken until 40.
    clock.onPoll = () => {
      clock.onPoll = () => other.timer.moved()
      clock.stall(10)
    }
    clock.pass(30)
    assert.deepEqual([call.silent, other.call.silent], [['upstream'], []])
    clock.pass(31)
    assert.deepEqual(other.call.silent, [])
    other.timer.stop()
  })

  it('says so once', () => {
    const told: string[] = []
    const deaf = new CallTimer(
      { isClientsTurn: false, onSilence: who => told.push(who) },
      { upstreamMs: 5, clientMs: 5 },
      watch,
    )
    deaf.start()
    clock.pass(200)
    assert.deepEqual(told, ['upstream'])
    deaf.stop()
  })

  it('goes on looking at the others when one cannot be ended', () => {
    const broken = new CallTimer({ isClientsTurn: false, onSilence: () => assert.fail('broken') }, { upstreamMs: 5, clientMs: 5 }, watch) // prettier-ignore
    broken.start()
    assert.throws(() => clock.pass(10), /broken/)
    clock.pass(40)
    assert.deepEqual(call.silent, ['upstream'])
    broken.stop()
  })

  it('goes by another limit once the response has begun, a shorter one too', () => {
    clock.pass(20)
    timer.allow(5)
    clock.pass(4)
    assert.deepEqual(call.silent, [])
    clock.pass(1)
    assert.deepEqual(call.silent, ['upstream'])
  })

  it('is its own: each call ends when it is due, whatever the others do', () => {
    const others = [10, 100, 55, 30, 41, 10].map(startCall)
    others[1]?.timer.stop()
    const endings = new Map<TimedCall, number>()
    for (let now = 1; now <= 200; now++) {
      timer.moved()
      clock.pass(1)
      for (const other of others)
        if (other.call.silent.length > 0 && !endings.has(other.call)) endings.set(other.call, now)
    }
    const endedAt = others.map(other => endings.get(other.call))
    for (const [index, due] of [10, undefined, 55, 30, 41, 10].entries()) {
      // It looks every ten milliseconds at the most.
      if (due === undefined) assert.equal(endedAt[index], undefined)
      else assert.ok(endedAt[index] !== undefined && endedAt[index] >= due - 1 && endedAt[index] <= due + 10, `${due}: ${endedAt[index]}`) // prettier-ignore
    }
    assert.deepEqual(call.silent, [])
  })

  it('is silent once stopped', () => {
    timer.stop()
    timer.moved()
    clock.pass(1_000)
    assert.deepEqual(call.silent, [])
  })
})
