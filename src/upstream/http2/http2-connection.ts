import { connect, type ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { errors } from 'undici'
import type { CallConnection } from '../upstream-client'

export interface ConnectionLimits {
  /** Streams at once on one connection; fewer if the server allows fewer. */
  readonly streams: number
  /** Maximum size of a response's header section. */
  readonly maxHeaderBytes: number
  /** How long the server may take for its settings, and for the answer to a ping. */
  readonly answerMs: number
}

export interface ConnectionEvents {
  /** The server has sent its settings: it speaks HTTP/2, and how many streams it allows is known. */
  onReady(): void
  /** The connection has room for another stream. */
  onRoom(): void
  /** The connection takes no further streams. */
  onLeave(error: Error): void
}

/** Bytes of a response that a target may send ahead of its client, for each stream. */
const STREAM_WINDOW = 262_144
/** The same for all streams of a connection. Node returns this window at once, so that no stream blocks the others. */
const CONNECTION_WINDOW = 4_194_304
/** In MB: streams × window, and their header sections. */
const SESSION_MEMORY_MB = 64

/** One connection to a target, with its streams. */
export class Http2Connection implements CallConnection {
  readonly session: ClientHttp2Session
  readonly #limits: ConnectionLimits
  readonly #events: ConnectionEvents
  #maxStreams: number
  #openStreams = 0
  #uses = 0
  #isReady = false
  #hasLeft = false
  /** Highest stream that the server processed, from its GOAWAY. */
  #lastStreamId = Infinity
  #failure: Error | undefined
  readonly #settingsTimer: NodeJS.Timeout
  #lifetime: NodeJS.Timeout | undefined
  #isChecking = false

  constructor(
    socket: Socket,
    { limits, origin, lifetimeMs }: { limits: ConnectionLimits; origin: string; lifetimeMs: number | undefined },
    events: ConnectionEvents,
  ) {
    this.#limits = limits
    this.#events = events
    this.#maxStreams = limits.streams
    const session = connect(origin, {
      createConnection: () => socket,
      // Fields are counted with 32 bytes each (RFC 9113 §6.5.2).
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW,
        maxHeaderListSize: limits.maxHeaderBytes + 32 * MAX_FIELDS,
      },
      maxHeaderListPairs: MAX_FIELDS,
      maxSessionMemory: SESSION_MEMORY_MB,
      maxReservedRemoteStreams: 0,
    })
    this.session = session
    // The session starts in the next turn, because Node waits for 'connect' of its socket.
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW))
    this.#settingsTimer = setTimeout(() => {
      this.destroy(new errors.ConnectTimeoutError(`no HTTP/2 settings within ${limits.answerMs} ms`))
    }, limits.answerMs)
    session.on('remoteSettings', settings => this.#onSettings(settings.maxConcurrentStreams))
    session.on('goaway', (_code, lastStreamId) => {
      this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId)
      this.#leave(new errors.SocketError('the server sent GOAWAY'))
    })
    session.on('error', error => {
      this.#failure ??= error
      this.#leave(error)
    })
    session.on('close', () => {
      clearTimeout(this.#settingsTimer)
      clearTimeout(this.#lifetime)
      this.#leave(this.#failure ?? new errors.SocketError('the connection was closed'))
    })
    if (lifetimeMs !== undefined) this.#lifetime = setTimeout(() => this.retire(), lifetimeMs).unref()
  }

  /** Streams that can be opened now. */
  get freeStreams(): number {
    const { session } = this
    if (!this.#isReady || this.#hasLeft || session.closed || session.destroyed) return 0
    return Math.max(0, this.#maxStreams - this.#openStreams)
  }

  /** Error that ended the session. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Whether the server declared that it has not processed this stream. */
  wasNotProcessed(streamId: number | undefined): boolean {
    return streamId !== undefined && streamId > this.#lastStreamId
  }

  streamOpened(): void {
    this.#openStreams++
  }

  streamClosed(): void {
    this.#openStreams--
    if (this.#hasLeft) {
      if (this.#openStreams === 0 && !this.session.destroyed) this.session.close()
    } else this.#events.onRoom()
  }

  /** Counts a request; returns whether the connection carried earlier requests. */
  countUse(): boolean {
    return this.#uses++ > 0
  }

  /** Other streams use the connection; a login by connection does not exist in HTTP/2. */
  closeConnection(): void {}

  /** Streams fail by themselves. */
  readonly connectionError = undefined

  /** Takes no further streams; the open ones finish. */
  retire(): void {
    this.#leave(new errors.InformationalError('the connection reached its lifetime'))
    this.session.close()
  }

  /**
   * Pings the server after a stream got no answer in time, and closes the connection unless it answers. A connection that
   * a firewall has dropped would otherwise swallow all calls until TCP gives up, after minutes.
   */
  check(): void {
    const { session } = this
    if (this.#isChecking || session.destroyed || session.closed) return
    this.#isChecking = true
    const timer = setTimeout(() => this.destroy(new errors.SocketError('no answer to a ping')), this.#limits.answerMs)
    const onAnswer = (): void => {
      clearTimeout(timer)
      this.#isChecking = false
    }
    session.once('close', onAnswer)
    session.ping(() => {
      session.off('close', onAnswer)
      onAnswer()
    })
  }

  destroy(error: Error): void {
    this.#failure ??= error
    this.session.destroy()
    this.#leave(error)
  }

  #onSettings(maxStreams: number | undefined): void {
    this.#maxStreams = Math.min(this.#limits.streams, maxStreams ?? Infinity)
    clearTimeout(this.#settingsTimer)
    if (this.#hasLeft) return
    if (this.#isReady) return this.#events.onRoom()
    this.#isReady = true
    this.#events.onReady()
  }

  #leave(error: Error): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#events.onLeave(error)
  }
}

/** Maximum number of fields in a response's header section. */
const MAX_FIELDS = 1_000
