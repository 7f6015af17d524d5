import type { Standing } from './rate-limit-store'

/** The count of one policy in this process. Never waits. */
export interface LocalCounter {
  take(key: string, cost: number): Standing
  /** Counts a request that Redis allowed, so that the count is ready when Redis fails. */
  note(key: string, cost: number, resetMs: number): void
  /** Counts a cost that became known after the request, also above the limit. */
  charge(key: string, cost: number): void
  /** Undoes the last count; returns the rest of the limit. */
  undo(key: string, cost: number): number
  /** Returns what this process has allowed and still counts. */
  inUse(key: string): { readonly cost: number; readonly resetMs: number }
  close(): void
}
