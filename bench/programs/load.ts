import { connect as connectHttp2, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/**
 * The load: keep-alive connections, each sending its next request as soon as the last one was answered. HTTP/1.1 uses raw
 * sockets and one prepared request, so that the measured program is the bottleneck and not this one.
 */
export interface Target {
  readonly port: number
  readonly path: string
  /** `h2`: requests of HTTP/2 without TLS; `grpc`: unary calls. */
  readonly protocol: 'http1' | 'h2' | 'grpc'
  /** HTTP/2: streams at once on one connection. */
  readonly connections: number
  readonly isTls: boolean
  /** Added to the headers of a browser. */
  readonly headers: Readonly<Record<string, string>>
  /** Size of a POST body; 0: a GET. */
  readonly bodyBytes: number
}

/** Commands of the parent. */
export type Command = { readonly start: Target } | 'count' | 'stop'

export interface LoadState {
  readonly answered: number
  readonly failure?: string
}

let clients: (Client | Http2Client)[] = []
let answered = 0
let failure: string | undefined

process.once('disconnect', () => process.exit())
process.on('message', (command: Command) => void obey(command))
process.send?.({ event: 'listening', port: 0 }) // for commands

async function obey(command: Command): Promise<void> {
  if (command === 'stop') {
    // Waits for the last answers; otherwise each slice would end with a burst of closed connections.
    await Promise.all(clients.map(async client => client.finish()))
  } else if (command !== 'count') {
    answered = 0
    failure = undefined
    const { start } = command
    if (start.protocol !== 'http1') clients = [new Http2Client(start)]
    else {
      const request = requestBytes(start)
      clients = Array.from({ length: start.connections }, () => new Client(start, request))
    }
  }
  process.send?.({ event: 'load', answered, failure })
}

/** One connection with several streams at once. */
class Http2Client {
  readonly #session: ClientHttp2Session
  readonly #headers: OutgoingHttpHeaders
  readonly #body: Buffer | undefined
  readonly #ended: Promise<void>
  #isLast = false

  constructor({ port, path, connections, protocol, headers }: Target) {
    const isGrpc = protocol === 'grpc'
    this.#headers = {
      ':method': isGrpc ? 'POST' : 'GET',
      ':path': path,
      ...(isGrpc ? { 'content-type': 'application/grpc', te: 'trailers' } : { accept: 'application/json' }),
      'user-agent': 'bench',
      ...headers,
    }
    // A message of 100 bytes behind its prefix: not compressed, length.
    this.#body = isGrpc ? Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'x')]) : undefined
    this.#session = connectHttp2(`http://127.0.0.1:${port}`)
    this.#session.on('error', (error: Error) => (failure ??= error.message))
    this.#ended = new Promise(resolve => this.#session.once('close', resolve))
    for (let stream = 0; stream < connections; stream++) this.#send()
  }

  async finish(): Promise<void> {
    this.#isLast = true
    this.#session.close()
    await this.#ended
  }

  #send(): void {
    const stream = this.#session.request(this.#headers, { endStream: this.#body === undefined })
    let status: unknown
    stream.on('response', headers => {
      status = headers[':status']
      // A refusal of a gRPC call has its status here.
      if (headers['grpc-status'] !== undefined) failure ??= `grpc-status ${String(headers['grpc-status'])}`
    })
    stream.on('trailers', trailers => {
      if (this.#body !== undefined && trailers['grpc-status'] !== '0') failure ??= 'no grpc-status 0'
    })
    stream.on('error', (error: Error) => (failure ??= error.message))
    stream.resume()
    stream.once('close', () => {
      if (status !== 200 || stream.rstCode !== constants.NGHTTP2_NO_ERROR) failure ??= `status ${String(status)}`
      answered++
      if (!this.#isLast) this.#send()
    })
    if (this.#body !== undefined) stream.end(this.#body)
  }
}

/** The request with the headers that a browser's fetch sends. */
function requestBytes({ port, path, headers, bodyBytes }: Target): Buffer {
  const lines = [
    `${bodyBytes > 0 ? 'POST' : 'GET'} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: application/json, text/plain, */*',
    'Accept-Language: en-US,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br',
    'Connection: keep-alive',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  if (bodyBytes > 0) lines.push('Content-Type: application/octet-stream', `Content-Length: ${bodyBytes}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.alloc(bodyBytes, 'x')])
}

class Client {
  readonly #socket: Socket
  readonly #request: Buffer
  /** The beginning of an incomplete header section. */
  #head: Buffer = Buffer.alloc(0)
  /** Bytes still to come of the current body; undefined between two answers. */
  #missing: number | undefined
  #isLast = false
  readonly #closed: Promise<void>

  constructor({ port, isTls }: Target, request: Buffer) {
    this.#request = request
    const address = { port, host: '127.0.0.1', noDelay: true }
    this.#socket = isTls
      ? connectTls({ ...address, rejectUnauthorized: false }, this.#send)
      : connect(address, this.#send)
    this.#socket.on('data', this.#onData)
    this.#socket.on('error', error => (failure ??= error.message))
    this.#closed = new Promise(resolve => {
      this.#socket.once('close', () => {
        if (!this.#isLast) failure ??= 'the connection was closed'
        resolve()
      })
    })
  }

  /** Waits for the current answer and sends no further request. */
  async finish(): Promise<void> {
    this.#isLast = true
    await this.#closed
  }

  readonly #send = (): void => {
    this.#socket.write(this.#request)
  }

  readonly #onData = (chunk: Buffer): void => {
    let bodyBytes = chunk.length
    if (this.#missing === undefined) {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
      const end = this.#head.indexOf('\r\n\r\n')
      if (end === -1) return
      const text = this.#head.toString('latin1', 0, end + 2)
      const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1]
      if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
        // One bad answer invalidates the whole measurement: it is reported to the parent, which ends the bench.
        failure ??= text
        this.#socket.destroy()
        return
      }
      this.#missing = Number(length)
      bodyBytes = this.#head.length - end - 4
      this.#head = Buffer.alloc(0)
    }
    this.#missing -= bodyBytes
    if (this.#missing > 0) return
    this.#missing = undefined
    answered++
    if (this.#isLast) this.#socket.destroy()
    else this.#send()
  }
}
