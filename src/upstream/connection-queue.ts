import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** What one client has of a target: connections that its calls hold, and calls that wait for one. */
export class ClientShare {
  readonly key: string
  held = 0
  waiting = 0
  /** Event streams among what it holds. */
  streams = 0
  /** Calls among what it holds whose response it does not read. */
  stalled = 0
  /** On the monotonic clock: until when it comes last, because a connection had to be taken from it. */
  lastUntil = 0
  /** Where it takes its turns while it waits. */
  circle: Circle | undefined
  /** Its waiting calls, in the order in which they came. */
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

  /** Behind all others. */
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

/** A call that needs a connection. Its fields belong to the queue: a place in it costs no object of its own. */
export interface ConnectionUser {
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  /** On the monotonic clock: since when it waits for a connection. */
  queuedAt: number
  /** On the monotonic clock: since when its client has not read what is there. */
  yieldingSince: number
  /** It has a connection now. */
  onConnection(): void
  /** It gets none: it leaves the queue. */
  onNoConnection(error: Error): void
  /** Ends it, so that another client's call gets its connection. */
  yieldConnection(): void
}

export interface ShareLimits {
  /** Connections that calls may hold at once. */
  readonly connections: number
  /** Percent of them that only clients below their share may take. */
  readonly reservePercent: number
  /** Percent of them that event streams of one client may keep while other clients wait. */
  readonly streamPercent: number
}

/** How long a client may leave unread what is there before its call can be ended for calls that wait. */
export const STALLED_MS = 2_000
/** How long a call waits before another one is ended for it: most connections come free sooner by themselves. */
const PATIENCE_MS = 500
const SWEEP_MS = 250
/** How long a client comes last after a connection was taken from it, because it did not read most of its responses. */
const LAST_FOR_MS = 30_000
/** Of so many turns, one belongs to the clients that come last. */
const TURNS_PER_LAST = 4
/** Clients without calls that are remembered: making and forgetting one for each request would cost more than the rest. */
const MAX_IDLE_CLIENTS = 1_000

/**
 * Shares the connections of a target between clients.
 *
 * One client may hold nearly all of them while no other client waits. When calls wait, clients take turns, whatever number
 * of calls each of them has; and the last few connections, the reserve, go only to clients that hold less than their share.
 * When calls wait in vain, responses that their clients do not read are ended; those clients come last for a while.
 * Memory is bounded by the calls that hold or wait, which `Target` bounds, and `MAX_IDLE_CLIENTS`.
 */
export class ConnectionQueue {
  readonly #connections: number
  readonly #reserve: number
  readonly #maxStreams: number
  readonly #clients = new Map<string, ClientShare>()
  /** Clients that hold or wait. */
  #activeClients = 0
  #held = 0
  #waiting = 0
  readonly #first = new Circle()
  readonly #last = new Circle()
  /** Counts to `TURNS_PER_LAST`. */
  #turns = 0
  #isGranting = false
  /** Calls whose client does not read, and event streams, each in the order in which they became so. At most `connections`. */
  readonly #stalled = new Set<ConnectionUser>()
  readonly #streams = new Set<ConnectionUser>()
  #sweep: NodeJS.Timeout | undefined

  constructor({ connections, reservePercent, streamPercent }: ShareLimits) {
    this.#connections = connections
    this.#reserve = reserveOf(connections, reservePercent)
    this.#maxStreams = Math.max(1, Math.floor((connections * streamPercent) / 100))
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /** Connections that calls hold. */
  get held(): number {
    return this.#held
  }

  /** Clients that are remembered. */
  get knownClients(): number {
    return this.#clients.size
  }

  /** Calls of this client that wait. */
  waitingOf(key: string): number {
    return this.#clients.get(key)?.waiting ?? 0
  }

  /** What each client may have of `amount`, if one more came. */
  shareOf(amount: number): number {
    return amount / (this.#activeClients + 1)
  }

  /** Takes a connection for the call: true when there is one now; else `onConnection` follows, or the call leaves. */
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

  /** The call waits no longer. */
  leave(call: ConnectionUser): void {
    const client = call.client as ClientShare
    this.#remove(client, call)
    this.#forgetIdle(client)
    this.#grant()
  }

  /** The call's connection is free, or has left the pool. */
  release(call: ConnectionUser): void {
    const client = call.client as ClientShare
    this.moves(call)
    if (this.#streams.delete(call)) client.streams--
    client.held--
    this.#held--
    this.#forgetIdle(client)
    if (this.#waiting > 0) this.#grant()
  }

  /** The call's client does not read what is there, so that the upstream must not send. */
  stalled(call: ConnectionUser): void {
    if (this.#stalled.has(call)) return
    call.yieldingSince = performance.now()
    this.#stalled.add(call)
    ;(call.client as ClientShare).stalled++
  }

  /** The call's client has read. */
  moves(call: ConnectionUser): void {
    if (this.#stalled.delete(call)) (call.client as ClientShare).stalled--
  }

  /** The call's response is meant to stay open. */
  streams(call: ConnectionUser): void {
    if (this.#streams.has(call)) return
    this.#streams.add(call)
    ;(call.client as ClientShare).streams++
  }

  /** Nobody waits any longer. */
  close(error: Error): void {
    this.#stopSweep()
    // Those that hold a connection are ended by their pool.
    this.#isGranting = true
    for (const circle of [this.#first, this.#last]) {
      while (circle.turn?.first) circle.turn.first.onNoConnection(error)
    }
  }

  /** Ends calls that hold a connection without need, as many as calls have waited in vain. */
  sweep(now: number): void {
    if (this.#waiting === 0) return this.#stopSweep()
    for (const call of this.#stalled) {
      if (now - call.yieldingSince < STALLED_MS || !this.#isAwaited(now)) break
      const client = call.client as ClientShare
      // Its own calls wait, too: one that is read is worth more than one that is not.
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

  /** Whether one connection more would end a wait that has been long enough. */
  #isAwaited(now: number): boolean {
    const next = this.#nextClient(this.#connections - this.#held + 1)
    return next?.first !== undefined && now - next.first.queuedAt >= PATIENCE_MS
  }

  #mayHold(client: ClientShare, free: number): boolean {
    if (free > this.#reserve) return true
    return free > 0 && client.held < this.shareOf(this.#connections) && !comesLast(client)
  }

  #grant(): void {
    // A call that fails at once releases its connection in the middle of this.
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

  /** Looks past at most as many clients as there are connections: of the first circle, only clients that hold some. */
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

/** At least one where there are some to choose from; none where one would be a large part. */
function reserveOf(connections: number, percent: number): number {
  if (percent === 0) return 0
  return Math.max(connections >= 8 ? 1 : 0, Math.floor((connections * percent) / 100))
}

function comesLast({ lastUntil }: ClientShare): boolean {
  return lastUntil !== 0 && lastUntil > performance.now()
}

function onSweep(queue: ConnectionQueue): void {
  // Timers come first after a pause of this very process, and only then what has arrived meanwhile.
  setImmediate(() => queue.sweep(performance.now()))
}
