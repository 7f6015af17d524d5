import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** From one try to the next, give or take a tenth: gateways that saw the same target fail must not come together. */
const INTERVAL_MS = 1_000
const JITTER = 0.1

/**
 * Opens a connection to a target that took none, again and again, and closes it at once: its return is seen without a
 * request that has to wait for it. One try at a time; the connector bounds how long each takes.
 */
export class ConnectionProbe {
  readonly #connect: buildConnector.connector
  readonly #origin: URL
  readonly #onConnected: () => void
  #timer: NodeJS.Timeout | undefined
  /** Of the latest start: a try that was made before it says nothing any more. */
  #run = 0
  #isRunning = false

  constructor(origin: string, connect: buildConnector.connector, onConnected: () => void) {
    this.#origin = new URL(origin)
    this.#connect = connect
    this.#onConnected = onConnected
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#wait(++this.#run)
  }

  stop(): void {
    this.#isRunning = false
    clearTimeout(this.#timer)
  }

  #wait(run: number): void {
    const ms = INTERVAL_MS * (1 - JITTER + 2 * JITTER * Math.random())
    // In the trace of no request.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(() => this.#try(run), ms).unref())
  }

  #try(run: number): void {
    const { host, hostname, protocol, port } = this.#origin
    this.#connect({ host, hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port }, (error, socket) => {
      if (socket) close(socket)
      if (!this.#isRunning || run !== this.#run) return
      if (error) this.#wait(run)
      else {
        this.#isRunning = false
        this.#onConnected()
      }
    })
  }
}

function close(socket: Socket): void {
  // A reset meanwhile would have no listener and end the process.
  socket.on('error', () => undefined)
  socket.destroy()
}
