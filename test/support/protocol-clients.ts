import { once } from 'node:events'
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { ClientHttp2Stream } from 'node:http2'
import type { Duplex, Writable } from 'node:stream'
import { openHttp2 } from './http2-client'

/** A request in the terms of both protocols. */
export interface Call {
  /** Default: GET. */
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly text: string
  /** 1xx responses before it, with their `Link`; without 100. */
  readonly early: readonly (readonly [status: number, link: unknown])[]
}

/** A request whose body the caller writes. */
export interface OpenCall {
  readonly body: Writable
  /** Resolves with 100 Continue. */
  readonly continued: Promise<unknown>
  /** Rejects if the response breaks off. */
  readonly reply: Promise<Reply>
  /** The next part of the response. */
  readonly part: () => Promise<string>
  /** Leaves, as a client does that is closed. */
  readonly abort: () => void
}

/** One connection of a client. */
export interface ProtocolClient {
  open(call: Call): OpenCall
  close(): void
}

/** Opens a client of each protocol on a port without TLS. */
export const PROTOCOLS: Readonly<Record<'HTTP/1.1' | 'HTTP/2', (port: number) => Promise<ProtocolClient>>> = {
  'HTTP/1.1': async port => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    return { open: call => openHttp1(port, agent, call), close: () => agent.destroy() }
  },
  'HTTP/2': async port => {
    const session = await openHttp2(`http://127.0.0.1:${port}`)
    return {
      open: ({ method = 'GET', path, headers }) => {
        const fields = { ':method': method, ':path': path, ...headers }
        return openedHttp2(session.request(fields, { endStream: false }))
      },
      close: () => session.destroy(),
    }
  },
}

/** Sends a request with its whole body. */
export async function exchange(client: ProtocolClient, call: Call, body?: string | Buffer): Promise<Reply> {
  const { body: upload, reply } = client.open(call)
  upload.end(body)
  return reply
}

function openHttp1(port: number, agent: Agent, { headers, ...call }: Call): OpenCall {
  const sent = request({ host: '127.0.0.1', port, agent, ...call, ...(headers && { headers }) })
  const early: [number, unknown][] = []
  sent.on(
    'information',
    ({ statusCode, headers: fields }) => void (statusCode > 100 && early.push([statusCode, fields['link']])),
  )
  const response = once(sent, 'response').then(([received]) => received as IncomingMessage)
  const parts = partsOf(response)
  const reply = response.then(async received => {
    await parts.end
    return {
      status: received.statusCode as number,
      headers: received.headers,
      trailers: received.trailers,
      text: parts.text(),
      early,
    }
  })
  sent.on('error', () => {})
  // Node would wait for the first byte of the body.
  if (headers?.['content-length'] !== undefined) sent.flushHeaders()
  return opened(sent, once(sent, 'continue'), reply, parts, () => sent.destroy())
}

function openedHttp2(stream: ClientHttp2Stream): OpenCall {
  const early: [number, unknown][] = []
  let trailers: IncomingHttpHeaders = {}
  stream.on('headers', fields => early.push([Number(fields[':status']), fields['link']]))
  stream.on('trailers', fields => (trailers = fields))
  stream.on('error', () => {})
  const head = once(stream, 'response').then(([fields]) => fields as IncomingHttpHeaders)
  const parts = partsOf(head.then(() => stream))
  const reply = head.then(async headers => {
    await parts.end
    if (stream.rstCode !== 0) throw new Error(`reset with code ${stream.rstCode}`)
    return { status: Number(headers[':status']), headers, trailers, text: parts.text(), early }
  })
  return opened(stream, once(stream, 'continue'), reply, parts, () => stream.close(8))
}

interface Parts {
  readonly end: Promise<unknown>
  text(): string
  next(): Promise<string>
}

function partsOf(source: Promise<IncomingMessage | Duplex>): Parts {
  const chunks: Buffer[] = []
  let read = 0
  let wake = (): void => {}
  const end = source.then(async stream => {
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      wake()
    })
    await once(stream, 'end')
  })
  end.catch(() => {})
  return {
    end,
    text: () => Buffer.concat(chunks).toString('utf8'),
    next: async () => {
      if (read === chunks.length) await new Promise<void>(resolve => (wake = resolve))
      return (chunks[read++] as Buffer).toString('utf8')
    },
  }
}

function opened(
  body: Writable,
  continued: Promise<unknown>,
  reply: Promise<Reply>,
  parts: Parts,
  abort: () => void,
): OpenCall {
  // The caller may not wait for them.
  continued.catch(() => {})
  reply.catch(() => {})
  return { body, continued, reply, part: () => parts.next(), abort }
}
