import { once } from 'node:events'
import { request, type Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

export interface Answer {
  readonly status: number
  readonly statusMessage: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly rawTrailers: readonly string[]
  readonly body: Buffer
  readonly text: string
}

export interface Message {
  readonly method?: string
  /** Sent as it is, unlike with `fetch`, which would tidy it up. */
  readonly path: string
  /** Or a flat list of name, value pairs. */
  readonly headers?: Readonly<Record<string, string | string[]>> | readonly string[]
  readonly body?: string | Buffer
  /** Default: a connection of its own, closed afterwards. */
  readonly agent?: Agent
  readonly localAddress?: string
  /** Default: 127.0.0.1. */
  readonly host?: string
}

/** Opens a request whose body the caller writes. Errors are the caller's to handle. */
export function open(port: number, { body: _body, headers, ...message }: Message): ClientRequest {
  const fields = Array.isArray(headers) ? [...(headers as string[])] : headers
  return request({
    host: '127.0.0.1',
    port,
    agent: false,
    ...message,
    ...(fields && { headers: fields as Record<string, string | string[]> }),
  })
}

/** Sends one request with a body that is there, and reads the whole answer. */
export async function send(port: number, message: Message | string): Promise<Answer> {
  const { body, ...head } = typeof message === 'string' ? { path: message } : message
  const sent = open(port, head)
  sent.end(body)
  return answerOf(await responseTo(sent))
}

export async function responseTo(sent: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

export async function answerOf(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return {
    status: response.statusCode ?? 0,
    statusMessage: response.statusMessage ?? '',
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    rawTrailers: response.rawTrailers,
    body,
    text: body.toString('utf8'),
  }
}

/** The values of all lines of a field, in their order; names are read as CGI reads them, so that none hides behind a `_`. */
export function linesOf({ rawHeaders }: { readonly rawHeaders: readonly string[] }, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase().replaceAll('_', '-') === name)
}

/** The problem details (RFC 9457) of an answer that the gateway gave itself. */
export function problemOf({ status, headers, text }: Answer): Readonly<Record<string, unknown>> {
  const problem = JSON.parse(text) as Record<string, unknown>
  if (headers['content-type'] !== 'application/problem+json') throw new Error(`not a problem: ${text}`)
  if (problem['status'] !== status) throw new Error(`says ${String(problem['status'])} in a ${status}`)
  return problem
}
