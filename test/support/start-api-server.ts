import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface SliceEndpoint {
  readonly address: string
  readonly pod?: string
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean }
}

export interface SliceOptions {
  readonly family?: 'IPv4' | 'IPv6' | 'FQDN'
  readonly ports?: readonly object[]
}

export interface ScriptedApiServer {
  readonly url: string
  /** Path with query of each request, in order. */
  readonly requests: string[]
  /** The credentials that requests need; undefined: none. */
  token: string | undefined
  /** Answers every request with this instead. */
  refusal: { readonly status: number; readonly message: string } | undefined
  /** Only watches get the refusal. */
  refusesOnlyWatches: boolean
  /** Slices of one page, whatever the request says. */
  pageSize: number
  readonly watches: number
  /** Adds or changes slices, as one event each in one chunk. */
  set(...slices: readonly object[]): void
  remove(name: string): void
  /** Sends a line on each watch. */
  sendLine(line: string): void
  bookmark(): void
  /** Ends each watch as its timeout does. */
  endWatches(): void
  /** Breaks each watch. */
  cutWatches(): void
  /** Forgets all versions before the present one: later watches from them are answered with 410. */
  forget(): void
  /** The port refuses connections until `goOn`. */
  goAway(): Promise<void>
  goOn(): Promise<void>
}

const running = new Set<() => Promise<void>>()

after(async () => {
  await Promise.all([...running].map(stop => stop()))
})

/** An EndpointSlice of the service `orders`. */
export function slice(
  name: string,
  endpoints: readonly (string | SliceEndpoint)[],
  { family = 'IPv4', ports = [{ name: 'http', port: 80, protocol: 'TCP' }] }: SliceOptions = {},
): object {
  return {
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'orders' } },
    addressType: family,
    ports,
    endpoints: endpoints.map(endpoint => {
      if (typeof endpoint === 'string') return { addresses: [endpoint], conditions: { ready: true } }
      const { address, pod, conditions } = endpoint
      return { addresses: [address], conditions, ...(pod !== undefined && { targetRef: { kind: 'Pod', uid: pod } }) }
    }),
  }
}

/**
 * The two requests of an API server that discovery makes, by a script of the test: a list of EndpointSlices and a watch.
 *
 * @param tls its certificate; undefined: http
 */
export async function startApiServer(tls?: { cert: string; key: string }): Promise<ScriptedApiServer> {
  const slices = new Map<string, object>()
  const log: { readonly version: number; readonly line: string }[] = []
  const watches = new Set<ServerResponse>()
  let version = 1
  let oldest = 1
  let port = 0
  let server: Server

  const answer = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  const status = (code: number, message: string): object => ({ kind: 'Status', status: 'Failure', code, message })
  const versioned = (object: object): object => {
    const { metadata } = object as { metadata: object }
    return { ...object, metadata: { ...metadata, resourceVersion: String(version) } }
  }
  const broadcast = (type: string, objects: readonly object[]): void => {
    const lines = objects.map(object => {
      version++
      const line = JSON.stringify({ type, object: versioned(object) })
      log.push({ version, line })
      return line
    })
    for (const watch of watches) watch.write(`${lines.join('\n')}\n`)
  }

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    scripted.requests.push(request.url ?? '')
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://api')
    const isWatch = searchParams.get('watch') === 'true'
    if (scripted.refusal !== undefined && (isWatch || !scripted.refusesOnlyWatches)) {
      return answer(response, scripted.refusal.status, status(scripted.refusal.status, scripted.refusal.message))
    }
    if (scripted.token !== undefined && request.headers.authorization !== `Bearer ${scripted.token}`) {
      return answer(response, 401, status(401, 'Unauthorized'))
    }
    if (!/^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/[a-z-]+\/endpointslices$/.test(pathname)) {
      return answer(response, 404, status(404, 'the server could not find the requested resource'))
    }
    if (!isWatch) {
      const from = Number(searchParams.get('continue') ?? 0)
      const size = Math.min(scripted.pageSize, Number(searchParams.get('limit')))
      const items = [...slices.values()].slice(from, from + size)
      const more = from + size < slices.size ? { continue: String(from + size) } : {}
      return answer(response, 200, { metadata: { resourceVersion: String(version), ...more }, items })
    }
    const since = Number(searchParams.get('resourceVersion'))
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    if (since < oldest) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'too old resource version') })}\n`)
      return
    }
    for (const { version: its, line } of log) if (its > since) response.write(`${line}\n`)
    watches.add(response)
    response.on('close', () => watches.delete(response))
  }

  const listen = async (): Promise<void> => {
    server = tls === undefined ? createHttp(handle) : createHttps(tls, handle)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
  const close = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  const scripted: ScriptedApiServer = {
    get url() {
      return `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`
    },
    requests: [],
    token: undefined,
    refusal: undefined,
    refusesOnlyWatches: false,
    pageSize: Infinity,
    get watches() {
      return watches.size
    },
    set(...objects) {
      for (const object of objects) {
        const { name } = (object as { metadata: { name: string } }).metadata
        slices.set(name, versioned(object))
      }
      broadcast('MODIFIED', objects)
    },
    remove(name) {
      const object = slices.get(name)
      slices.delete(name)
      if (object !== undefined) broadcast('DELETED', [object])
    },
    sendLine(line) {
      for (const watch of watches) watch.write(`${line}\n`)
    },
    bookmark() {
      broadcast('BOOKMARK', [{ metadata: {} }])
    },
    endWatches() {
      for (const watch of watches) watch.end()
      watches.clear()
    },
    cutWatches() {
      for (const watch of watches) watch.destroy()
      watches.clear()
    },
    forget() {
      version++
      oldest = version
      log.length = 0
    },
    async goAway() {
      running.delete(close)
      await close()
    },
    async goOn() {
      await listen()
      running.add(close)
    },
  }
  await scripted.goOn()
  return scripted
}
