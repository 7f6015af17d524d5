/** The state of a source, for pages. */
export interface SourceState {
  readonly source: string
  readonly targets: number
  /** Why the last look failed; null when it succeeded. The targets before are kept. */
  readonly lastFailure: string | null
}
