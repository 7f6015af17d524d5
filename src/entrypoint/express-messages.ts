import { IncomingMessage, ServerResponse } from 'node:http'
import type { Express } from 'express'

/** What the HTTP server makes its requests and responses with. */
export interface MessageClasses {
  readonly IncomingMessage: typeof IncomingMessage
  readonly ServerResponse: typeof ServerResponse
}

/**
 * Requests and responses that are born with Express' prototypes. Express sets them on every one that comes without, which
 * costs a tenth of the whole request: V8 looks for a new shape each time, and forgets what it knew of the old one.
 */
export function expressMessages(app: Express): MessageClasses {
  class GatewayRequest extends IncomingMessage {}
  class GatewayResponse<Request extends IncomingMessage> extends ServerResponse<Request> {}
  Object.setPrototypeOf(GatewayRequest.prototype, app.request)
  Object.setPrototypeOf(GatewayResponse.prototype, app.response)
  app.request = GatewayRequest.prototype as typeof app.request
  app.response = GatewayResponse.prototype as typeof app.response
  return { IncomingMessage: GatewayRequest, ServerResponse: GatewayResponse }
}
