/** What is more than memory, or knows more than the file says: a target with its connections, a limiter with its counts. */
export interface Resource {
  /** The file does not ask for it any more: requests that are under way still use it, none that come will. */
  leave?(): void
  close(): void | Promise<void>
}

/**
 * The resource that is made from `from`: the one there is, where the last file said the same, else what `make` makes.
 *
 * @param from all that the resource depends on; what is left out here stays as it was when the file changes
 */
export type ReuseOrCreate = <P extends Resource>(kind: string, from: unknown, make: () => P) => P
