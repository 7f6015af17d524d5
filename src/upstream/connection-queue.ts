import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** One client's share of a target: the connections that its calls hold, and its calls that wait for one. */
export class ClientShare {
  readonly key: string
  held = 0
  waiting = 0
  /** Held connections that carry event streams. */
  streams = 0
  /** Held connections whose response the client does not read. */
  stalled = 0
  /** Until when the client is served last because a connection was taken from it; monotonic clock. */
  lastUntil = 0
  /** The circle in which the client waits. */
  circle: Circle | undefined
  /** Its waiting calls, in order of arrival. */
  first: ConnectionUser | undefined
  last: ConnectionUser | undefined
  /** Neighbours in the circle of clients that wait. */
  before: ClientShare = this
  after: ClientShare = this

  constructor(key: string) {
    this.key = key
  }
}

/** Clients that wait, in the order of their turns. */
class Circle {
  turn: ClientShare | undefined
  size = 0

  /** Adds the client behind all others. */
  join(client: ClientShare): void {
    client.circle = this
    this.size++
    const { turn } = this
    if (turn === undefined) {
      this.turn = client
      return
    }
    client.before = turn.before
    client.after = turn
    turn.before.after = client
    turn.before = client
  }

  leave(client: ClientShare): void {
    client.circle = undefined
    this.size--
    if (this.turn === client) this.turn = client.after === client ? undefined : client.after
    client.before.after = client.after
    client.after.before = client.before
    client.before = client.after = client
  }
}

/** A call that needs a connection. The queue owns these fields, so that queueing allocates no object. */
export interface ConnectionUser {
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  /** When the call was queued; monotonic clock. */
  queuedAt: number
  /** Since when the client has not read its response; monotonic clock. */
  yieldingSince: number
  /** Called when the call gets a connection. */
  onConnection(): void
  /** Called when the call will get no connection. The call must leave the queue. */
  onNoConnection(error: Error): void
  /** Ends the call, so that another client's call gets its connection. */
  yieldConnection(): void
}

export interface ShareLimits {
  /** Maximum number of connections held at once. */
  readonly connections: number
  /** Percentage of the connections reserved for clients below their share. */
  readonly reservePercent: number
  /** Percentage of the connections that one client's event streams may keep while other clients wait. */
  readonly streamPercent: number
}

/** One client's use of a target, for people. */
export interface ClientUse {
  /** Address or consumer, as in the shares. */
  readonly client: string
  readonly connections: number
  readonly waitingCalls: number
  /** Connections that carry event streams. */
  readonly eventStreams: number
  /** Connections whose response the client does not read. */
  readonly unreadResponses: number
  /** Whether the client is served last, because a connection was taken from it. */
  readonly servedLast: boolean
}

/** Number of clients that are shown. */
const MAX_SHOWN_CLIENTS = 10

/** How long a client may leave its response unread before its call can be ended for waiting calls. */
export const STALLED_MS = 2_000
/** How long a call waits before another one is ended for it; most connections become free sooner. */
const EVICTION_WAIT_MS = 500
const SWEEP_MS = 250
/** How long a client is served last after it left most of its responses unread and lost a connection. */
const LAST_FOR_MS = 30_000
/** One in this many turns goes to the clients that are served last. */
const TURNS_PER_LAST = 4
/** Number of clients without calls that are kept, because creating one for each request would be expensive. */
const MAX_IDLE_CLIENTS = 1_000

/**
 * Shares the connections of a target fairly between clients.
 *
 * One client may hold nearly all of them while no other client waits. When calls wait, clients take turns, regardless
 * of how many calls each has; the last few connections, the reserve, go only to clients that hold less than their
 * share. When calls wait too long, responses that their clients do not read are ended; those clients are served last
 * for a while. Memory is bounded by `MAX_IDLE_CLIENTS` and by the calls that hold or wait, which `Target` bounds.
 */
export class ConnectionQueue {
  #connections = 0
  #reserve = 0
  #maxStreams = 0
  readonly #clients = new Map<string, ClientShare>()
  /** Clients that hold a connection or wait for one. */
  #activeClients = 0
  #held = 0
  #waiting = 0
  readonly #first = new Circle()
  readonly #last = new Circle()
  /** Turn counter, modulo `TURNS_PER_LAST`. */
  #turns = 0
  #isGranting = false
  /** Calls whose client does not read, and event streams, oldest first; at most `connections` of each. */
  readonly #stalled = new Set<ConnectionUser>()
  readonly #streams = new Set<ConnectionUser>()
  #sweep: NodeJS.Timeout | undefined

  constructor(limits: ShareLimits) {
    this.resize(limits)
  }

  /** Changes the number of connections: the protocol of the target, and so what one connection carries, became known. */
  resize({ connections, reservePercent, streamPercent }: ShareLimits): void {
    this.#connections = connections
    this.#reserve = reserveOf(connections, reservePercent)
    this.#maxStreams = Math.max(1, Math.floor((connections * streamPercent) / 100))
    if (this.#waiting > 0) this.#grant()
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /** Connections that calls hold. */
  get held(): number {
    return this.#held
  }

  /** Number of clients that are kept, idle ones included. */
  get knownClients(): number {
    return this.#clients.size
  }

  /** Returns the clients with most calls, those that wait first; at most `MAX_SHOWN_CLIENTS`. */
  largestClients(): ClientUse[] {
    return [...this.#clients.values()]
      .filter(({ held, waiting }) => held + waiting > 0)
      .sort((a, b) => b.waiting - a.waiting || b.held - a.held)
      .slice(0, MAX_SHOWN_CLIENTS)
      .map(client => ({
        client: client.key,
        connections: client.held,
        waitingCalls: client.waiting,
        eventStreams: client.streams,
        unreadResponses: client.stalled,
        servedLast: comesLast(client),
      }))
  }

  /** Calls of this client that wait. */
  waitingOf(key: string): number {
    return this.#clients.get(key)?.waiting ?? 0
  }

  /** Returns one client's fair share of `amount`, counting one more client than there is. */
  shareOf(amount: number): number {
    return amount / (this.#activeClients + 1)
  }

  /** Takes a connection and returns true, or queues the call: `onConnection` follows unless the call leaves. */
  enter(call: ConnectionUser, key: string): boolean {
    const client = this.#clientOf(key)
    call.client = client
    if (client.held + client.waiting === 0) this.#activeClients++
    if (client.waiting === 0 && this.#mayHold(client, this.#connections - this.#held)) {
      client.held++
      this.#held++
      return true
    }
    this.#append(client, call)
    this.#sweep ??= context.with(ROOT_CONTEXT, () => setInterval(onSweep, SWEEP_MS, this).unref())
    return false
  }

  /** Removes a waiting call from the queue. */
  leave(call: ConnectionUser): void {
    const client = call.client as ClientShare
    this.#remove(client, call)
    this.#forgetIdle(client)
    this.#grant()
  }

  /** Gives up the call's connection, which is free or has left the pool. */
  release(call: ConnectionUser): void {
    const client = call.client as ClientShare
    this.moves(call)
    if (this.#streams.size > 0 && this.#streams.delete(call)) client.streams--
    client.held--
    this.#held--
    this.#forgetIdle(client)
    if (this.#waiting > 0) this.#grant()
  }

  /** Marks the call as stalled: its client does not read, and the upstream is paused. */
  stalled(call: ConnectionUser): void {
    if (this.#stalled.has(call)) return
    call.yieldingSince = performance.now()
    this.#stalled.add(call)
    ;(call.client as ClientShare).stalled++
  }

  /** Clears the mark of `stalled`: the client has read. */
  moves(call: ConnectionUser): void {
    if (this.#stalled.size > 0 && this.#stalled.delete(call)) (call.client as ClientShare).stalled--
  }

  /** Marks the call as an event stream, which is meant to stay open. */
  streams(call: ConnectionUser): void {
    if (this.#streams.has(call)) return
    this.#streams.add(call)
    ;(call.client as ClientShare).streams++
  }

  /** Fails all waiting calls. */
  close(error: Error): void {
    this.#stopSweep()
    // Keeps released connections from being granted. The pool ends the calls that hold one.
    this.#isGranting = true
    for (const circle of [this.#first, this.#last]) {
      while (circle.turn?.first) circle.turn.first.onNoConnection(error)
    }
  }

  /** Ends stalled calls and surplus event streams, one for each call that has waited too long. */
  sweep(now: number): void {
    if (this.#waiting === 0) return this.#stopSweep()
    for (const call of this.#stalled) {
      if (now - call.yieldingSince < STALLED_MS || !this.#isAwaited(now)) break
      const client = call.client as ClientShare
      // Also evicts for the client's own waiting calls: a response that is read is worth more than one that is not.
      if (client.waiting === 0 && client.held <= this.#connections / this.#activeClients) continue
      if (client.stalled * 2 > client.held) this.#putLast(client, now)
      call.yieldConnection()
    }
    for (const call of this.#streams) {
      if (!this.#isAwaited(now)) break
      const client = call.client as ClientShare
      const othersWait = this.#first.size + this.#last.size > (client.waiting > 0 ? 1 : 0)
      if (othersWait && client.streams > this.#maxStreams) call.yieldConnection()
    }
  }

  #stopSweep(): void {
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  /** Whether one more free connection would serve a call that has waited for `EVICTION_WAIT_MS`. */
  #isAwaited(now: number): boolean {
    const next = this.#nextClient(this.#connections - this.#held + 1)
    return next?.first !== undefined && now - next.first.queuedAt >= EVICTION_WAIT_MS
  }

  #mayHold(client: ClientShare, free: number): boolean {
    if (free > this.#reserve) return true
    return free > 0 && client.held < this.shareOf(this.#connections) && !comesLast(client)
  }

  #grant(): void {
    // Guards against reentry: a call that fails immediately releases its connection within this loop.
    if (this.#isGranting) return
    this.#isGranting = true
    try {
      while (this.#waiting > 0) {
        const client = this.#nextClient(this.#connections - this.#held)
        if (client === undefined) return
        const call = client.first as ConnectionUser
        if (client.circle) client.circle.turn = client.after
        this.#remove(client, call)
        this.#turns = (this.#turns + 1) % TURNS_PER_LAST
        client.held++
        this.#held++
        call.onConnection()
      }
    } finally {
      this.#isGranting = false
    }
  }

  #nextClient(free: number): ClientShare | undefined {
    if (free <= 0) return undefined
    const isLastsTurn = this.#turns === TURNS_PER_LAST - 1
    const [preferred, other] = isLastsTurn ? [this.#last, this.#first] : [this.#first, this.#last]
    return this.#nextIn(preferred, free) ?? this.#nextIn(other, free)
  }

  /** Skips at most as many clients as there are connections, because only clients that hold one are skipped. */
  #nextIn({ turn }: Circle, free: number): ClientShare | undefined {
    if (turn === undefined || free > this.#reserve) return turn
    let client = turn
    do {
      if (this.#mayHold(client, free)) return client
      client = client.after
    } while (client !== turn)
    return undefined
  }

  #putLast(client: ClientShare, now: number): void {
    client.lastUntil = now + LAST_FOR_MS
    if (client.circle !== this.#first) return
    this.#first.leave(client)
    this.#last.join(client)
  }

  #append(client: ClientShare, call: ConnectionUser): void {
    call.queuedAt = performance.now()
    call.previous = client.last
    if (client.last) client.last.next = call
    else client.first = call
    client.last = call
    this.#waiting++
    if (client.waiting++ === 0) (comesLast(client) ? this.#last : this.#first).join(client)
  }

  #remove(client: ClientShare, call: ConnectionUser): void {
    if (call.previous) call.previous.next = call.next
    else client.first = call.next
    if (call.next) call.next.previous = call.previous
    else client.last = call.previous
    call.next = call.previous = undefined
    this.#waiting--
    if (--client.waiting === 0) client.circle?.leave(client)
  }

  #clientOf(key: string): ClientShare {
    let client = this.#clients.get(key)
    if (client === undefined) this.#clients.set(key, (client = new ClientShare(key)))
    return client
  }

  #forgetIdle(client: ClientShare): void {
    if (client.held + client.waiting > 0) return
    this.#activeClients--
    if (this.#clients.size - this.#activeClients > MAX_IDLE_CLIENTS) this.#clients.delete(client.key)
  }
}

/** Returns the size of the reserve: at least one of 8 or more connections; fewer than 8 may have none. */
function reserveOf(connections: number, percent: number): number {
  if (percent === 0) return 0
  return Math.max(connections >= 8 ? 1 : 0, Math.floor((connections * percent) / 100))
}

function comesLast({ lastUntil }: ClientShare): boolean {
  return lastUntil !== 0 && lastUntil > performance.now()
}

function onSweep(queue: ConnectionQueue): void {
  // After a pause of the process, timers fire before I/O. Deferred, so that data that arrived meanwhile counts.
  setImmediate(() => queue.sweep(performance.now()))
}
