import { createServer } from 'node:http2'
import { ANSWER } from './answers.ts'
import { listen } from './listen.ts'

/** A minimal upstream that speaks HTTP/2 without TLS: a prepared body, or a unary gRPC answer. */
const small = Buffer.from(ANSWER)
const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'y')])

const server = createServer({ settings: { maxConcurrentStreams: 1_000 } })
server.on('stream', (stream, headers) => {
  const isGrpc = headers['content-type'] === 'application/grpc'
  stream.resume()
  stream.on('error', () => {}) // the client gave up
  if (!isGrpc) {
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': small.length })
    stream.end(small)
    return
  }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(message)
})
listen(server)
