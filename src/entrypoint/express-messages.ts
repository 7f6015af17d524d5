import { IncomingMessage, ServerResponse } from 'node:http'
import type { Express } from 'express'

/** Request and response classes of the HTTP server. */
export interface MessageClasses {
  readonly IncomingMessage: typeof IncomingMessage
  readonly ServerResponse: typeof ServerResponse
}

/** A message that counts its body's bytes as sent: compressed, without framing. Not meaningful for HEAD, 204 and 304. */
interface CountsBody {
  readonly bodyBytes: number
}

/** Returns the counted bytes of a message's body; 0 if its class does not count. */
export function bodyBytesOf(message: IncomingMessage | ServerResponse): number {
  return (message as Partial<CountsBody>).bodyBytes ?? 0
}

/** Returns the bytes of the body that was sent in answer to a request with this method. */
export function bodyBytesSent(method: string | undefined, response: ServerResponse): number {
  const { statusCode: status } = response
  return method === 'HEAD' || status === 204 || status === 304 ? 0 : bodyBytesOf(response)
}

function lengthOf(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk)
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}

/**
 * Creates message classes that have Express' prototypes from the start. Otherwise Express sets them on each message, which
 * costs a tenth of a request: V8 has to find a new shape each time and loses its optimisations for the old one.
 */
export function expressMessages(app: Express): MessageClasses {
  class GatewayRequest extends IncomingMessage implements CountsBody {
    bodyBytes = 0

    /** Counts each chunk that Node's parser delivers. */
    override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
      if (chunk !== null) this.bodyBytes += chunk.length
      return super.push(chunk, encoding)
    }
  }
  class GatewayResponse<Request extends IncomingMessage> extends ServerResponse<Request> implements CountsBody {
    bodyBytes = 0

    override write(chunk: unknown, ...more: never[]): boolean {
      this.bodyBytes += lengthOf(chunk)
      return super.write(chunk, ...more)
    }

    override end(chunk?: unknown, ...more: never[]): this {
      this.bodyBytes += lengthOf(chunk)
      return super.end(chunk, ...more)
    }
  }
  Object.setPrototypeOf(GatewayRequest.prototype, app.request)
  Object.setPrototypeOf(GatewayResponse.prototype, app.response)
  app.request = GatewayRequest.prototype as IncomingMessage as typeof app.request
  app.response = GatewayResponse.prototype as ServerResponse as typeof app.response
  return { IncomingMessage: GatewayRequest, ServerResponse: GatewayResponse }
}
