import { AsyncLocalStorage } from 'node:async_hooks'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Requests that may wait on one connection before it is read no further. With fewer it is read, because a connection that
 * is not read does not tell that its client left.
 */
const MAX_WAITING_WHILE_READ = 16
/**
 * Requests that may wait on one connection at all. The last read brings up to 64 KiB, which is 2,500 requests of the shortest
 * kind, and each costs 2 KB while it waits: no client waits for so many responses.
 */
const MAX_WAITING = 500

interface Queue {
  waiting: number
  isHeld: boolean
  /** Called once when nothing waits any more. */
  onEmpty: (() => void) | undefined
}

/**
 * Requests that came while the response before theirs was not finished. They wait for their turn, one request of a connection
 * at a time (RFC 9112 §9.3.2): served in parallel, one client would take every connection to an upstream.
 *
 * Node keeps their order; nothing is held here but a count for each connection that has ever pipelined.
 */
export class PipelinedRequests {
  readonly #queues = new WeakMap<Socket, Queue>()

  /** Whether the newest request of the connection waits. */
  waitOn(socket: Socket): boolean {
    return (this.#queues.get(socket)?.waiting ?? 0) > 0
  }

  /**
   * Calls `serve` when the response before this one has ended; never if the connection closes first.
   *
   * @returns false when more wait than may
   */
  add(response: ServerResponse, serve: () => void): boolean {
    const { socket } = response.req
    const queue = this.#queueOf(socket)
    if (queue.waiting >= MAX_WAITING) return false
    queue.waiting++
    if (queue.waiting > MAX_WAITING_WHILE_READ && !queue.isHeld) hold(socket, queue)
    // Not in that of the response before it, whose end calls it: the stock instrumentation keeps its span there.
    const inItsContext = AsyncLocalStorage.snapshot()
    // Node gives a response its connection when the one before is through. One in each turn of the event loop: a thousand
    // that the gateway answers by itself would keep everybody else waiting.
    response.once('socket', () =>
      setImmediate(() => {
        queue.waiting--
        if (socket.destroyed) return
        if (queue.waiting === 0) this.#becameEmpty(socket, queue)
        inItsContext(serve)
      }),
    )
    return true
  }

  /** Calls `act` when nothing waits on the connection any more. */
  whenEmpty(socket: Socket, act: () => void): void {
    this.#queueOf(socket).onEmpty = act
  }

  #becameEmpty(socket: Socket, queue: Queue): void {
    if (queue.isHeld) release(socket, queue)
    queue.onEmpty?.()
    queue.onEmpty = undefined
  }

  #queueOf(socket: Socket): Queue {
    let queue = this.#queues.get(socket)
    if (!queue) this.#queues.set(socket, (queue = { waiting: 0, isHeld: false, onEmpty: undefined }))
    return queue
  }
}

/** Node resumes a connection whenever a message is complete, a body is read or a response has drained. */
function hold(socket: Socket, queue: Queue): void {
  queue.isHeld = true
  socket.resume = stay
  socket.on('resume', pauseAgain)
  socket.pause()
}

function release(socket: Socket, queue: Queue): void {
  queue.isHeld = false
  socket.off('resume', pauseAgain)
  delete (socket as Partial<Socket>).resume
  socket.resume()
}

function stay(this: Socket): Socket {
  return this
}

/** A resume that was under way before the pause starts reading although the stream is paused: `pause()` would do nothing. */
function pauseAgain(this: Socket): void {
  this.emit('pause')
}
