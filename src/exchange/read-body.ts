import { GatewayError } from '../errors/gateway-error'
import { hasBody, type Exchange } from './exchange'

/**
 * Reads the whole body of a request and puts it back, so that it can still be forwarded.
 *
 * @throws GatewayError `body_too_large` above `maxBytes`
 */
export async function readBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const { request } = exchange
  if (!hasBody(request) || request.readableEnded) return Buffer.alloc(0)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new GatewayError('body_too_large')
  if (exchange.expectsContinue) {
    exchange.response.writeContinue()
    exchange.expectsContinue = false
  }
  const chunks: Buffer[] = []
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    const stop = (error?: Error): void => {
      request.off('readable', onReadable)
      request.off('end', onEnd)
      request.off('error', stop)
      request.off('close', onClose)
      // In the same turn as the last read: later, the stream would have ended, and nothing could be put back.
      if (bytes > 0) request.unshift(Buffer.concat(chunks))
      // The stream takes note of a removed 'readable' listener in the next tick.
      if (error === undefined) setImmediate(resolve)
      else reject(error)
    }
    const onReadable = (): void => {
      for (let chunk = request.read() as Buffer | null; chunk !== null; chunk = request.read() as Buffer | null) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxBytes) return stop(new GatewayError('body_too_large'))
      }
      if (request.complete && bytes > 0) stop()
    }
    // Only of an empty chunked body: there is nothing to put back.
    const onEnd = (): void => stop()
    const onClose = (): void => stop(new Error('the client has left before its body was complete'))
    request.on('readable', onReadable)
    request.once('end', onEnd)
    request.once('error', stop)
    request.once('close', onClose)
  })
  return Buffer.concat(chunks)
}
