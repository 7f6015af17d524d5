import type { Standing } from './rate-limit-store'

/** The count of one policy in this process. Never waits. */
export interface LocalCounter {
  take(key: string, cost: number): Standing
  /** Counts what Redis let through: the count must be there when Redis is not. */
  note(key: string, cost: number, resetMs: number): void
  /** Takes back what was just counted; returns what is left of the limit. */
  undo(key: string, cost: number): number
  /** What this process has let through that still counts. */
  inUse(key: string): { readonly cost: number; readonly resetMs: number }
  close(): void
}
