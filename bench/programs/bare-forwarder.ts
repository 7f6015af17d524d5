import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import express, { type RequestHandler } from 'express'
import { Pool, type Dispatcher } from 'undici'
import { listen } from './listen.ts'

/**
 * The reference: a minimal forwarder on the same Express and undici, without any gateway features. It drops connection
 * headers, adds `X-Forwarded-*`, streams both ways and answers 502.
 */
const CONNECTION_HEADERS = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const pool = new Pool(process.env['BENCH_UPSTREAM'] ?? '', { connections: 128 })

const forward: RequestHandler = function forward(request, response) {
  const headers: string[] = []
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = (request.rawHeaders[i] as string).toLowerCase()
    if (!CONNECTION_HEADERS.has(name)) headers.push(name, request.rawHeaders[i + 1] as string)
  }
  headers.push(
    'x-forwarded-for',
    request.socket.remoteAddress ?? '',
    'x-forwarded-host',
    request.headers.host ?? '',
    'x-forwarded-proto',
    'http',
  )
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  pool.dispatch(
    {
      path: request.originalUrl,
      method: request.method,
      headers,
      body: hasBody ? request : null,
    },
    new Forwarding(response),
  )
}

class Forwarding implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse
  #controller: Dispatcher.DispatchController | undefined
  #done = false

  constructor(response: ServerResponse) {
    this.#response = response
    response.on('close', () => {
      if (!this.#done) this.#controller?.abort(new Error('client closed'))
    })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (statusCode < 200) return
    const fields: Record<string, string | string[]> = {}
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined && !CONNECTION_HEADERS.has(name)) fields[name] = value
    }
    this.#response.writeHead(statusCode, fields)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return
    controller.pause()
    this.#response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    this.#done = true
    this.#response.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#done = true
    if (this.#response.headersSent) this.#response.destroy(error)
    else this.#response.writeHead(502).end()
  }
}

const app = express()
app.disable('x-powered-by')
app.use(forward)
const certificate = process.env['BENCH_CERTIFICATE']
const key = process.env['BENCH_KEY']
listen(
  certificate !== undefined && key !== undefined
    ? createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, app)
    : createServer(app),
)
