import { AsyncLocalStorage } from 'node:async_hooks'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Number of waiting requests up to which further ones are parsed. What follows is held back as bytes. */
const MAX_WAITING_WHILE_PARSED = 16
/**
 * Largest number of waiting requests on one connection. One read of 64 KiB can hold 2,500 of the shortest requests, and each
 * costs 2 KB while it waits.
 */
const MAX_WAITING = 500

interface Queue {
  waiting: number
  isHeld: boolean
  /** Node's parser no longer reads the connection by itself: bytes pass the socket's own buffer. */
  isBuffered: boolean
  /** Called once when no request waits. */
  onEmpty: (() => void) | undefined
}

/**
 * Pipelined requests, which wait until the response before theirs is finished. Each connection is served one request at a
 * time (RFC 9112 §9.3.2); in parallel, one client could take every connection to an upstream.
 *
 * Node keeps the order; this class only counts waiting requests for each connection that pipelines.
 */
export class PipelinedRequests {
  readonly #queues = new WeakMap<Socket, Queue>()

  /** Returns whether the newest request of the connection waits. */
  waitOn(socket: Socket): boolean {
    return (this.#queues.get(socket)?.waiting ?? 0) > 0
  }

  /**
   * Calls `serve` when the response before this one has ended; never if the connection closes first.
   *
   * @returns false if too many requests wait
   */
  add(response: ServerResponse, serve: () => void): boolean {
    const { socket } = response.req
    const queue = this.#queueOf(socket)
    if (queue.waiting >= MAX_WAITING) return false
    queue.waiting++
    if (queue.waiting > MAX_WAITING_WHILE_PARSED && !queue.isHeld) hold(socket, queue)
    // Keeps the request's own async context: the callback would run in that of the previous response, where the stock
    // instrumentation keeps its span.
    const inItsContext = AsyncLocalStorage.snapshot()
    // Node assigns the connection when the previous response is finished. Only one request is served per turn of the event
    // loop: a long series of local replies would block other clients.
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

  /** Calls `act` when no request waits on the connection. */
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
    if (!queue) this.#queues.set(socket, (queue = { waiting: 0, isHeld: false, isBuffered: false, onEmpty: undefined }))
    return queue
  }
}

/**
 * Holds back what the client sends from the parser. The socket goes on reading until its own buffer is full (64 KiB and
 * one more read), because the end of a connection is seen only behind the bytes before it.
 */
function hold(socket: Socket, queue: Queue): void {
  queue.isHeld = true
  if (!queue.isBuffered) {
    queue.isBuffered = true
    // Node's parser reads the connection without the socket's buffer until something else listens for data.
    socket.on('data', ignore)
  }
  // Node resumes a connection after each complete message, read body or drained response.
  socket.resume = stay
  socket.push = pushUnlessEnded
  socket.pause()
  socket._read(0)
}

function release(socket: Socket, queue: Queue): void {
  queue.isHeld = false
  delete (socket as Partial<Socket>).resume
  delete (socket as Partial<Socket>).push
  socket.resume()
}

function stay(this: Socket): Socket {
  return this
}

/**
 * Adds what was read to the socket's buffer. A client that has closed its half counts as gone, as without waiting requests,
 * but Node would report it only after the bytes that are held back.
 */
function pushUnlessEnded(this: Socket, chunk: Buffer | null, encoding?: BufferEncoding): boolean {
  if (chunk === null) this.destroy()
  return Duplex.prototype.push.call(this, chunk, encoding)
}

function ignore(): void {}
