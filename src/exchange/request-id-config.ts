/** How requests and their answers are known by an id. */
export interface RequestIdConfig {
  /** Field with the id, lower case: in every answer, in every call to an upstream, and from trusted proxies. */
  readonly header: string
  /** Field with the trace of an answer, lower case, in the form of `traceparent`. */
  readonly traceHeader: string
  /** Whose answers have it. */
  readonly traceFor: 'all' | 'trusted' | 'none'
}
