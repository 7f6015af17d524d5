import { context } from '@opentelemetry/api'
import type { Dispatcher } from 'undici'
import { consumerOrClientKey } from '../exchange/client-key'
import type { Exchange } from '../exchange/exchange'
import type { ClientShare, ConnectionUser } from './connection-queue'
import { ImmediateBatch } from './immediate-batch'
import type { Target } from './target'

/** The call that needs the connection. */
export interface SlotOwner {
  /** Dispatches the request. Returns whether the call got a connection or ended at once. */
  dispatch(request: Dispatcher.DispatchOptions): boolean
  /** The call will get no connection. */
  onNoConnection(error: Error): void
  /** The call waited too long for a connection. */
  onWaitedTooLong(): void
  /** Ends the call, so that another client's call gets its connection. */
  yieldConnection(): void
}

/** A call's place in the queue for connections of its target, and later the connection that it holds. */
export class ConnectionSlot implements ConnectionUser {
  readonly #call: SlotOwner
  readonly #exchange: Exchange
  readonly #target: Target
  /** How long the call may wait for a connection. */
  readonly #waitMs: number
  /** The request to dispatch once another call releases a connection. */
  #request: Dispatcher.DispatchOptions | undefined
  #isHeld = false
  #waitTimer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The call has no connection yet. undici keeps it queued until there is one, even after it was settled. */
  isQueued = false
  // Fields owned by `ConnectionQueue`.
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  queuedAt = 0
  yieldingSince = 0

  constructor(call: SlotOwner, exchange: Exchange, target: Target, waitMs: number) {
    this.#call = call
    this.#exchange = exchange
    this.#target = target
    this.#waitMs = waitMs
  }
  /** Dispatches the request, or queues it when no connection is free. */
  take(request: Dispatcher.DispatchOptions): void {
    if (this.#target.connections.enter(this, consumerOrClientKey(this.#exchange))) {
      this.#isHeld = true
      if (this.#call.dispatch(request)) return
    } else this.#request = request
    this.isQueued = true
    this.#target.waitingCalls++
    WITHOUT_CONNECTION.add(this)
  }

  /** Dispatches the request on a connection that another call released. */
  onConnection(): void {
    const request = this.#request as Dispatcher.DispatchOptions
    this.#request = undefined
    this.#isHeld = true
    // The caller runs in the context of the exchange that released the connection.
    context.with(this.#exchange.context, () => this.#call.dispatch(request))
  }

  /**
   * Starts the timer that limits the wait for a connection. It starts at the end of the event-loop turn, because most
   * queued calls get a connection before that and need no timer.
   */
  startWaitTimer(): void {
    if (!this.isQueued || this.#isClosed) return
    this.#waitTimer = setTimeout(onWaitedTooLong, this.#waitMs, this.#call)
  }

  onNoConnection(error: Error): void {
    this.#call.onNoConnection(error)
  }

  yieldConnection(): void {
    this.#call.yieldConnection()
  }

  /** The call got a connection, or undici has failed it. */
  leaveQueue(): void {
    if (!this.isQueued) return
    this.isQueued = false
    this.#target.waitingCalls--
    clearTimeout(this.#waitTimer)
  }

  /** Gives up the connection, which is free or has left the pool. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#target.connections.release(this)
  }

  /** Called when the call is settled. Returns whether the request was removed from the queue and is never dispatched. */
  close(): boolean {
    this.#isClosed = true
    clearTimeout(this.#waitTimer)
    if (this.#request === undefined) return false
    this.#request = undefined
    this.#target.waitingCalls--
    this.#target.connections.leave(this)
    return true
  }
}

/** Calls that did not get a connection immediately. */
const WITHOUT_CONNECTION = new ImmediateBatch<ConnectionSlot>(slot => slot.startWaitTimer())

function onWaitedTooLong(call: SlotOwner): void {
  call.onWaitedTooLong()
}
