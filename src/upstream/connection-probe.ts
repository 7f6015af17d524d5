import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** Interval between probes, with jitter so that gateways that saw the same target fail do not probe it together. */
const INTERVAL_MS = 1_000
const JITTER = 0.1

/**
 * Probes a target that refuses connections: opens a connection at intervals and closes it immediately. This detects
 * that the target is back without a client's request. One probe runs at a time; the connector limits how long it takes.
 */
export class ConnectionProbe {
  readonly #connect: buildConnector.connector
  readonly #origin: URL
  readonly #onConnected: () => void
  #timer: NodeJS.Timeout | undefined
  /** Number of the latest start; results of probes from earlier starts are ignored. */
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
    // Outside the trace of any exchange.
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
  // A reset without a listener would end the process.
  socket.on('error', () => undefined)
  socket.destroy()
}
