import { once } from 'node:events'
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import type { SecureClientSessionOptions } from 'node:http2'

export interface Http2Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly text: string
}

/** Errors of the session are those of its streams as well. */
export async function openHttp2(url: string, options: SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
  const session = connect(url, options)
  session.on('error', () => {})
  await once(session, 'connect')
  return session
}

/** The whole answer of a stream. */
export async function answerOn(stream: ClientHttp2Stream): Promise<Http2Answer> {
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  const chunks: Buffer[] = []
  stream.on('response', received => (headers = received))
  stream.on('trailers', received => (trailers = received))
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  // Also rejects with the stream's error.
  await once(stream, 'end')
  if (stream.rstCode !== 0) throw new Error(`reset with code ${stream.rstCode}`)
  return { status: Number(headers[':status']), headers, trailers, text: Buffer.concat(chunks).toString('utf8') }
}

export async function sendHttp2(
  session: ClientHttp2Session,
  fields: Record<string, string | string[]>,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(fields, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return answerOn(stream)
}
