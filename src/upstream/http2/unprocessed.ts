/**
 * A target declared that it has not processed the request: REFUSED_STREAM, or a GOAWAY with a lower stream id (RFC 9113
 * §8.7). The request may be sent again whatever its method.
 */
export class Unprocessed extends Error {
  readonly code = 'ECONNRESET'
}
