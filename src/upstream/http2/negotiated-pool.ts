import type { Dispatcher, Pool } from 'undici'
import type { Http2Handler } from './http2-call'
import { Http2Pool, type Http2PoolOptions } from './http2-pool'

export interface NegotiatedPoolOptions extends Omit<Http2PoolOptions, 'onHttp1' | 'onHttp2'> {
  readonly http1: Pool
  /** How long HTTP/1.1 is used before HTTP/2 is offered again. */
  readonly askAgainMs: number
  readonly onProtocol: (protocol: 'http1' | 'h2') => void
}

/**
 * Connections to a target whose protocol the TLS handshake decides (ALPN): HTTP/2 where the server knows it, else HTTP/1.1. A
 * server that chose HTTP/1.1 is offered HTTP/2 again after a while, because it may have been updated.
 */
export class NegotiatedPool {
  readonly #options: NegotiatedPoolOptions
  readonly #http2: Http2Pool
  #protocol: 'http1' | 'h2' | undefined
  #askAgainAt = 0

  constructor(options: NegotiatedPoolOptions) {
    this.#options = options
    this.#http2 = new Http2Pool({
      ...options,
      onHttp1: waiting => {
        this.#choose('http1')
        this.#askAgainAt = performance.now() + options.askAgainMs
        for (const { request, handler } of waiting) options.http1.dispatch(request, handler)
      },
      onHttp2: () => this.#choose('h2'),
    })
  }

  /** The protocol of the latest connection; undefined before the first. */
  get protocol(): 'http1' | 'h2' | undefined {
    return this.#protocol
  }

  get stats(): Http2Pool['stats'] {
    return this.#protocol === 'http1' ? this.#options.http1.stats : this.#http2.stats
  }

  dispatch(request: Dispatcher.DispatchOptions, handler: Http2Handler): boolean {
    // An upgrade needs a connection of its own.
    const usesHttp1 = this.#protocol === 'http1' && performance.now() < this.#askAgainAt
    if (request.upgrade || usesHttp1) return this.#options.http1.dispatch(request, handler)
    return this.#http2.dispatch(request, handler)
  }

  async destroy(error: Error): Promise<void> {
    this.#http2.close(error)
    await this.#options.http1.destroy(error)
  }

  #choose(protocol: 'http1' | 'h2'): void {
    if (this.#protocol === protocol) return
    this.#protocol = protocol
    this.#options.onProtocol(protocol)
  }
}
