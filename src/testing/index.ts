import { once } from 'node:events'
import {
  createServer,
  request as sendRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { recordSpans } from '../../otel/testing/recorded-spans'
import { createGateway } from '../embed/create-gateway'
import type { DefinedPolicy } from '../policies/own/define-policy'

/** What `createTestGateway` is given. */
export interface TestGatewayOptions {
  readonly policies?: readonly DefinedPolicy[]
  /** Keys of the one route, which takes every path: those of the policies under test. */
  readonly route?: Readonly<Record<string, unknown>>
  readonly entrypoint?: Readonly<Record<string, unknown>>
  /** Answers in place of the upstream that tells what it got. */
  readonly upstream?: RequestListener
}

export interface TestRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface TestResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  json(): unknown
}

export interface TestSpan {
  readonly name: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface TestGateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Sends a request, and waits until the gateway has ended it. */
  request(path: string, request?: TestRequest): Promise<TestResponse>
  /** Those of the gateway that have ended: of each request one SERVER span, after the CLIENT spans of its calls. */
  spans(): readonly TestSpan[]
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long the gateway may need for what follows a response. */
const SETTLE_MS = 1_000

/** A gateway on a free port of loopback with one route and one upstream, for tests of policies. */
export async function createTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const spans = recordSpans()
  const upstream = await listening(
    createServer(options.upstream ?? ((request, response) => void echo(request, response))),
  )
  const gateway = await createGateway({
    config: {
      ...(options.entrypoint && { entrypoint: options.entrypoint }),
      upstreams: { upstream: { targets: [urlOf(upstream)] } },
      routes: [{ name: 'test', match: { path: '/:path' }, upstream: 'upstream', ...options.route }],
    },
    policies: options.policies ?? [],
    logLevel: 'silent',
  }).catch(async (error: unknown) => {
    await stop(upstream)
    throw error
  })
  const url = urlOf(await listening(gateway.server))
  const close = async (): Promise<void> => {
    await gateway.close(SETTLE_MS)
    await stop(upstream)
  }
  return {
    url,
    request: async (path, request = {}) => {
      const response = await send(url + path, request)
      // The span ends after the client has everything.
      const deadline = performance.now() + SETTLE_MS
      while (gateway.inFlight() > 0 && performance.now() < deadline) await turn()
      return response
    },
    spans,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function echo(...[request, response]: Parameters<RequestListener>): Promise<void> {
  const { method, url, headers } = request
  const answer = JSON.stringify({ method, url, headers, body: await text(request) })
  response.setHeader('content-type', 'application/json').end(answer)
}

async function send(url: string, { method = 'GET', headers = {}, body }: TestRequest): Promise<TestResponse> {
  const sent = sendRequest(url, { method, headers, agent: false })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const answer = await text(response)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: answer,
    json: () => JSON.parse(answer) as unknown,
  }
}

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function stop(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
