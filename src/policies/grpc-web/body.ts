import { Transform } from 'node:stream'
import { grpcWebTrailers, type GrpcCall } from '../../exchange/grpc-call'

/** Creates the transform of a response: base64 for the text form, and the trailers as last frame. */
export function toGrpcWebBody(call: GrpcCall): Transform {
  const encode = (bytes: Buffer): Buffer | string => (call.form === 'web' ? bytes : bytes.toString('base64'))
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, encode(chunk))
    },
    flush(done) {
      // Without trailers the status is in the header section.
      if (call.trailers.length === 0) return done()
      done(null, encode(grpcWebTrailers(call.trailers)))
    },
  })
}
