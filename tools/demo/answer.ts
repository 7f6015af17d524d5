import type { IncomingMessage, ServerResponse } from 'node:http'

/** One answer of the demo upstream. `argument` is the path segment after its name, `query` what follows the `?`. */
export type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  argument: string,
  query: URLSearchParams,
) => void | Promise<void>
