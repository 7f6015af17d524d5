import type { Worker } from 'node:cluster'
import { createServer, type Server } from 'node:net'

/** Ports that clients connect to. */
export type Port = 'gateway' | 'redirect'

/** The message with which a connection is handed over. */
export interface ConnectionMessage {
  readonly connection: Port
}

/** What a worker answers when it has a connection. */
export interface TakenMessage {
  readonly taken: true
}

/** A connection that is not read yet. */
export interface ConnectionHandle {
  close(): void
}

interface ListeningHandle {
  onconnection: (error: number, client: ConnectionHandle) => void
}

interface Waiting {
  readonly port: Port
  readonly client: ConnectionHandle
}

interface Receiver {
  readonly worker: Worker
  /** Handed over, and not confirmed. More than one only at the end. */
  readonly unconfirmed: Waiting[]
  readonly confirm: (message: unknown) => void
}

/** Connections that wait for a worker. Further ones are closed at once. */
const MAX_WAITING = 1_024

/**
 * Accepts connections in the primary, and hands them to the workers in turn: a worker gets one when it has confirmed the one
 * before. The primary has the listening sockets, so that a worker that dies neither closes a port nor keeps a connection:
 * what it has not confirmed goes to another one. Node's own round robin loses such a connection, and the ones that come while
 * the last worker stops listening: they stay open without an answer.
 */
export class Connections {
  readonly #servers = new Set<Server>()
  readonly #receivers = new Map<number, Receiver>()
  /** Workers that have confirmed everything, in the order in which they did. */
  readonly #free = new Set<Receiver>()
  readonly #waiting: Waiting[] = []
  #isClosed = false

  /** A server that, when it listens, takes connections for the workers. */
  server(port: Port): Server {
    const server = createServer()
    server.once('listening', () => {
      // Node has no public interface for a connection without a socket, which the primary would create for nothing.
      const listening = (server as unknown as { readonly _handle: ListeningHandle })._handle
      const failed = listening.onconnection
      listening.onconnection = (error, client) => {
        if (error !== 0) failed.call(listening, error, client)
        else this.#handOver(server, { port, client })
      }
    })
    this.#servers.add(server)
    return server
  }

  /** Adds a worker that can take connections. */
  add(worker: Worker): void {
    const confirm = (message: unknown): void => {
      if (!isTaken(message)) return
      receiver.unconfirmed.shift()?.client.close()
      this.#next(receiver)
    }
    const receiver: Receiver = { worker, unconfirmed: [], confirm }
    this.#receivers.set(worker.id, receiver)
    worker.on('message', confirm)
    this.#next(receiver)
  }

  /** Removes a worker that has ended. Others get what it has not confirmed. */
  remove(worker: Worker): void {
    const receiver = this.#receivers.get(worker.id)
    if (receiver === undefined) return
    this.#receivers.delete(worker.id)
    this.#free.delete(receiver)
    worker.off('message', receiver.confirm)
    if (this.#isClosed) return closeAll(receiver.unconfirmed)
    this.#waiting.unshift(...receiver.unconfirmed)
    for (const free of this.#free) this.#next(free)
  }

  /**
   * Stops listening, and hands over what waits. Messages to a worker keep their order, so that whatever it is sent afterwards
   * comes after its last connection.
   */
  close(): void {
    this.#isClosed = true
    for (const server of this.#servers) server.close()
    const receivers = [...this.#receivers.values()]
    for (const [i, waiting] of this.#waiting.splice(0).entries()) {
      const receiver = receivers[i % receivers.length]
      if (receiver === undefined) waiting.client.close()
      else this.#send(receiver, waiting)
    }
  }

  #handOver(server: Server, waiting: Waiting): void {
    const [receiver] = this.#free
    if (receiver !== undefined) return this.#send(receiver, waiting)
    if (this.#waiting.length < MAX_WAITING) return void this.#waiting.push(waiting)
    waiting.client.close()
    server.emit('error', new Error(`${MAX_WAITING} connections wait for a worker`))
  }

  #next(receiver: Receiver): void {
    if (receiver.unconfirmed.length > 0) return
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#free.add(receiver)
    else this.#send(receiver, waiting)
  }

  #send(receiver: Receiver, waiting: Waiting): void {
    this.#free.delete(receiver)
    receiver.unconfirmed.push(waiting)
    const { worker } = receiver
    const message: ConnectionMessage = { connection: waiting.port }
    // A worker that cannot be reached has ended, and is removed by that.
    if (worker.isConnected()) worker.process.send(message, waiting.client as never, () => {})
  }
}

function closeAll(all: readonly Waiting[]): void {
  for (const { client } of all) client.close()
}

function isTaken(message: unknown): message is TakenMessage {
  return typeof message === 'object' && message !== null && 'taken' in message
}
