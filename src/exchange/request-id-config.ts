/** Configuration of request ids and trace fields. */
export interface RequestIdConfig {
  /** Field with the id, lower case: sent in responses and upstream calls, accepted from trusted proxies. */
  readonly header: string
  /** Response field with the trace, lower case, in the form of `traceparent`. */
  readonly traceHeader: string
  /** Peers whose responses carry the trace. */
  readonly traceFor: 'all' | 'trusted' | 'none'
}
