import { IncomingMessage, ServerResponse } from 'node:http'
import type { Express } from 'express'

/** What the HTTP server makes its requests and responses with. */
export interface MessageClasses {
  readonly IncomingMessage: typeof IncomingMessage
  readonly ServerResponse: typeof ServerResponse
}

/** Bytes of a body, as they are sent: compressed, without framing. Of what may have none (HEAD, 204, 304) it says nothing. */
interface CountsBody {
  readonly bodyBytes: number
}

/** Of a message whose class counts; 0 of any other. */
export function bodyBytesOf(message: IncomingMessage | ServerResponse): number {
  return (message as Partial<CountsBody>).bodyBytes ?? 0
}

function lengthOf(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk)
  return chunk instanceof Uint8Array ? chunk.byteLength : 0
}

/**
 * Requests and responses that are born with Express' prototypes. Express sets them on every one that comes without, which
 * costs a tenth of the whole request: V8 looks for a new shape each time, and forgets what it knew of the old one.
 */
export function expressMessages(app: Express): MessageClasses {
  class GatewayRequest extends IncomingMessage implements CountsBody {
    bodyBytes = 0

    /** What Node's parser hands over of the body, whoever reads it. */
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
