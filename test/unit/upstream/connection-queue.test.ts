import assert from 'node:assert/strict'
import {
  ConnectionQueue,
  STALLED_MS,
  type ClientShare,
  type ConnectionUser,
} from '../../../src/upstream/connection-queue'

/** A call that notes what becomes of it. */
class Call implements ConnectionUser {
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  queuedAt = 0
  yieldingSince = 0
  hasConnection = false
  refusedWith: Error | undefined
  hasYielded = false
  readonly name: string
  readonly #queue: ConnectionQueue
  readonly #order: string[]

  constructor(queue: ConnectionQueue, name: string, order: string[] = []) {
    this.#queue = queue
    this.name = name
    this.#order = order
  }

  enter(): this {
    this.hasConnection = this.#queue.enter(this, this.name.slice(0, 1))
    return this
  }

  end(): void {
    this.hasConnection = false
    this.#queue.release(this)
  }

  onConnection(): void {
    this.hasConnection = true
    this.#order.push(this.name)
  }

  onNoConnection(error: Error): void {
    this.refusedWith = error
    this.#queue.leave(this)
  }

  yieldConnection(): void {
    this.hasYielded = true
    this.end()
  }
}

describe('the queue for connections of a target', () => {
  let queue: ConnectionQueue
  const order: string[] = []

  function start(connections: number, { reservePercent = 0, streamPercent = 50 } = {}): void {
    queue = new ConnectionQueue({ connections, reservePercent, streamPercent })
    order.length = 0
  }
  const enter = (...names: string[]): Call[] => names.map(name => new Call(queue, name, order).enter())
  const endAll = (calls: readonly Call[]): void => {
    for (const call of calls) call.end()
  }
  afterEach(() => queue.close(new Error('the test is over')))

  it('gives one client every connection while no other client waits', () => {
    start(4)
    assert.deepEqual(
      enter('a1', 'a2', 'a3', 'a4', 'a5').map(({ hasConnection }) => hasConnection),
      [true, true, true, true, false],
    )
    assert.deepEqual([queue.held, queue.waiting, queue.waitingOf('a')], [4, 1, 1])
  })

  it('has clients take turns, and serves each in the order of its calls', () => {
    start(1)
    const [first] = enter('a1')
    const waiting = enter('a2', 'a3', 'a4', 'b1', 'b2', 'c1')
    first?.end()
    for (let i = 0; i < 6; i++) waiting.find(({ hasConnection }) => hasConnection)?.end()
    assert.deepEqual(order, ['a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
    assert.deepEqual([queue.held, queue.waiting], [0, 0])
  })

  it('keeps a reserve for clients below their share', () => {
    start(20, { reservePercent: 10 })
    const greedy = enter(...Array.from({ length: 30 }, (_, i) => `a${i}`))
    assert.equal(greedy.filter(({ hasConnection }) => hasConnection).length, 18)
    assert.deepEqual(
      enter('b1', 'c1').map(({ hasConnection }) => hasConnection),
      [true, true],
    )
    assert.equal(enter('d1')[0]?.hasConnection, false)
  })

  it('gives a connection of the reserve that comes free to a client below its share, whoever has waited longer', () => {
    start(20, { reservePercent: 10 })
    enter(...Array.from({ length: 30 }, (_, i) => `a${i}`))
    const others = enter('b1', 'c1')
    const late = enter('d1')
    others[0]?.end()
    assert.equal(late[0]?.hasConnection, true)
    assert.deepEqual(order, ['d1'])
  })

  it('has at least one connection in reserve of eight, and none of fewer', () => {
    start(8, { reservePercent: 10 })
    assert.equal(
      enter('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8').filter(({ hasConnection }) => hasConnection).length,
      7,
    )
    start(7, { reservePercent: 10 })
    assert.equal(
      enter('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8').filter(({ hasConnection }) => hasConnection).length,
      7,
    )
  })

  it('passes a call by that has left', () => {
    start(1)
    const [first] = enter('a1')
    const [gone] = enter('b1', 'c1')
    queue.leave(gone as Call)
    first?.end()
    assert.deepEqual([order, queue.waiting], [['c1'], 0])
  })

  it('stays whole when a call that gets a connection fails at once', () => {
    start(1)
    const [first] = enter('a1')
    const failing = enter('a2', 'b1', 'a3')
    for (const call of failing) call.onConnection = () => call.end()
    first?.end()
    assert.deepEqual([queue.held, queue.waiting], [0, 0])
  })

  it('refuses every call that waits when it closes', () => {
    start(1)
    enter('a1')
    const waiting = enter('a2', 'b1')
    queue.close(new Error('closed'))
    assert.deepEqual(
      waiting.map(({ refusedWith }) => refusedWith?.message),
      ['closed', 'closed'],
    )
    assert.equal(queue.waiting, 0)
  })

  it('forgets clients without calls beyond a thousand', () => {
    start(2)
    for (let i = 0; i < 5_000; i++) {
      const call = new Call(queue, 'a')
      queue.enter(call, `client ${i}`)
      queue.release(call)
    }
    assert.ok(queue.knownClients <= 1_001, String(queue.knownClients))
  })

  describe('when calls wait in vain', () => {
    const later = (): number => performance.now() + STALLED_MS + 1_000

    it('ends the response that has stood still longest, of a client above its share', () => {
      start(4)
      const [a1, a2, a3, b1] = enter('a1', 'a2', 'a3', 'b1') as [Call, Call, Call, Call]
      for (const call of [b1, a3, a1]) queue.stalled(call)
      enter('c1')
      queue.sweep(later())
      assert.deepEqual(
        [a1, a2, a3, b1].map(({ hasYielded }) => hasYielded),
        [false, false, true, false],
      )
      assert.deepEqual(order, ['c1'])
    })

    it('ends none that has moved, that stands still only for a moment, or while nobody has waited for long', () => {
      start(2)
      const calls = enter('a1', 'a2')
      for (const call of calls) queue.stalled(call)
      enter('b1')
      queue.sweep(performance.now() + 1_000)
      for (const call of calls) queue.moves(call)
      queue.sweep(later())
      assert.deepEqual([calls.some(({ hasYielded }) => hasYielded), order], [false, []])
    })

    it('ends one of a client that is alone, when its own calls wait', () => {
      start(2)
      const [a1] = enter('a1', 'a2') as [Call]
      queue.stalled(a1)
      enter('a3')
      queue.sweep(later())
      assert.deepEqual([a1.hasYielded, order], [true, ['a3']])
    })

    it('has the client of a response that was ended come last, and still lets it have one of four turns', () => {
      start(2)
      const stalled = enter('a1', 'a2')
      for (const call of stalled) queue.stalled(call)
      const waiting = enter('a3', 'a4', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6')
      queue.sweep(later())
      for (let i = 0; i < 8; i++) waiting.find(({ hasConnection }) => hasConnection)?.end()
      assert.equal(order.length, 8)
      assert.ok(order.indexOf('a3') <= 4 && order.indexOf('b6') >= 6, order.join(' '))
    })

    it('leaves a client that came last nothing of the reserve', () => {
      start(20, { reservePercent: 10 })
      const greedy = enter(...Array.from({ length: 30 }, (_, i) => `a${i}`))
      for (const call of greedy) if (call.hasConnection) queue.stalled(call)
      queue.sweep(later())
      const held = greedy.filter(({ hasConnection }) => hasConnection)
      assert.equal(held.length, 18)
      endAll(held)
      assert.ok(greedy.filter(({ hasConnection }) => hasConnection).length <= 18)
    })

    it('ends event streams of a client that has more than its part of them, for other clients only', () => {
      start(4)
      const streams = enter('a1', 'a2', 'a3', 'b1')
      for (const call of streams) queue.streams(call)
      enter('a4')
      queue.sweep(later())
      assert.equal(streams.filter(({ hasYielded }) => hasYielded).length, 0)
      enter('c1')
      queue.sweep(later())
      assert.deepEqual(
        streams.map(({ hasYielded }) => hasYielded),
        [true, false, false, false],
      )
    })
  })
})
