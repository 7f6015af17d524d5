/** A resource with state that survives a reload: a target with its connections, a limiter with its counts. */
export interface Resource {
  /** Called when the resource is retired: exchanges in flight still use it, new ones do not. */
  leave?(): void
  close(): void | Promise<void>
}

/**
 * Returns the existing resource if it was created from an equal `from`, otherwise creates one with `make`.
 *
 * @param from everything that the resource depends on; a change of anything left out here has no effect on a reload
 */
export type ReuseOrCreate = <P extends Resource>(kind: string, from: unknown, make: () => P) => P
