import type { EntrypointConfig } from '../config/types'
import { clientKey } from '../exchange/client-key'
import type { Exchange } from '../exchange/exchange'

/**
 * Counts open WebSockets per client. Connections per client do not bound them: those of trusted proxies are exempt, and one
 * HTTP/2 connection carries many. At most as many entries as there are open WebSockets.
 */
export class WebSocketsPerClient {
  readonly #open = new Map<string, number>()

  /** Counts the WebSocket of an exchange until `release()`. @returns false if its client has too many open */
  admit(
    exchange: Exchange,
    {
      maxWebSocketsPerClient,
      maxConnectionsPerClient,
    }: Pick<EntrypointConfig, 'maxWebSocketsPerClient' | 'maxConnectionsPerClient'>,
  ): boolean {
    const client = clientKey(exchange)
    const before = this.#open.get(client) ?? 0
    if (before >= (maxWebSocketsPerClient ?? maxConnectionsPerClient)) return false
    this.#open.set(client, before + 1)
    return true
  }

  release(exchange: Exchange): void {
    const client = clientKey(exchange)
    const left = (this.#open.get(client) ?? 1) - 1
    if (left === 0) this.#open.delete(client)
    else this.#open.set(client, left)
  }
}
