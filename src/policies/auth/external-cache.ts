import { createHash } from 'node:crypto'
import type { Consumer, Exchange } from '../../exchange/exchange'
import type { ExternalConfig } from './external-schema'

/** What an allowing answer says. */
export interface Permission {
  readonly consumer: Consumer | undefined
  readonly identityFields: readonly string[]
}

/** Allowing answers of an authorizer, for a while. Bounded by `cache.size`; the oldest goes first. */
export class PermissionCache {
  readonly #ttlMs: number
  readonly #size: number
  readonly #fields: readonly string[]
  readonly #isPerPath: boolean
  readonly #kept = new Map<string, { readonly until: number; readonly permission: Permission }>()

  constructor({ ttl, size, key, perPath }: NonNullable<ExternalConfig['cache']>, requestHeaders: readonly string[]) {
    this.#ttlMs = ttl
    this.#size = size
    this.#fields = key ?? requestHeaders
    this.#isPerPath = perPath
  }

  /**
   * Returns the key of a request: a digest, because the values are credentials. Undefined if the request has none of the
   * fields.
   *
   * @param asked method, host, path and query, as the authorizer gets them
   */
  keyOf({ request, consumer }: Exchange, asked: string): string | undefined {
    const values = this.#fields.map(name => request.headers[name])
    if (values.every(value => value === undefined)) return undefined
    const parts = [...values, consumer?.name, this.#isPerPath ? asked : undefined]
    return createHash('sha256')
      .update(JSON.stringify(parts.map(part => part ?? null)))
      .digest('base64')
  }

  get(key: string): Permission | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    if (performance.now() < kept.until) return kept.permission
    this.#kept.delete(key)
    return undefined
  }

  add(key: string, permission: Permission): void {
    this.#kept.delete(key)
    if (this.#kept.size >= this.#size) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest)
        break
      }
    }
    this.#kept.set(key, { until: performance.now() + this.#ttlMs, permission })
  }
}
