/** An alert with its true cause. */
export interface Scenario {
  readonly alert: string
  readonly cause: string
  /** Part of the title, where several places have the alert. */
  readonly place?: string
  /** @returns what ends the cause */
  readonly provoke: () => Promise<() => Promise<void>>
  /** Text of the message that proves it. */
  readonly evidence?: RegExp
  /** In place of waiting for its end. */
  readonly end?: string
  /** Its cause is there from the start of the run. */
  readonly fromStart?: boolean
  /** The message comes by mail alone. */
  readonly byMail?: boolean
}
