import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { readRequests, valuesOf, type Message } from './messages'

export interface ForwardedRequest {
  readonly id: string
  readonly method: string
  readonly target: string
  /** Its `X-Id` fields. */
  readonly named: string
  readonly bodyHash: string
}

/** An upstream that reads as strictly as RFC 9112 allows and answers each request with the id that its path ends with. */
export interface RecordingUpstream {
  readonly url: string
  /** What was no request, or no request that could be told from another one. */
  readonly violations: readonly string[]
  /** Whole requests with this id, in the order in which they came; forgets them. */
  takeRequests(id: string): readonly ForwardedRequest[]
  /** Ids of whole requests that have not been taken. */
  ids(): readonly string[]
  forget(): void
  stop(): Promise<void>
}

export function hashOf(body: string): string {
  return createHash('sha256').update(body, 'latin1').digest('hex').slice(0, 16)
}

/** The id in a request target: its last path segment, whatever form it has and however it is escaped. */
export function idIn(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '')
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return encodeURIComponent(decoded.slice(decoded.lastIndexOf('/') + 1))
}

/** Larger than everything the fuzzers send in one request. */
const MAX_UNREAD = 1_000_000

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const open = new Set<Socket>()
  const requests = new Map<string, ForwardedRequest[]>()
  let violations: string[] = []
  const server = createServer({ noDelay: true }, socket => {
    let unread = ''
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      unread += chunk.toString('latin1')
      const { messages, malformed, rest } = readRequests(unread)
      for (const message of messages) if (message.complete) answer(socket, message)
      unread = rest
      // A client of another test's Redis, which had this port before.
      if (/^\*\d+\r/.test(rest)) return void socket.destroy()
      if (malformed === undefined && unread.length < MAX_UNREAD) return
      violations.push(`${malformed ?? 'too long'}: ${JSON.stringify(rest.slice(0, 400))}`)
      socket.destroy()
    })
  })

  function answer(socket: Socket, { startLine, fields, body }: Message): void {
    const [method = '', target = ''] = startLine.split(' ')
    const id = idIn(target)
    const named = valuesOf(fields, 'x-id')
    if (valuesOf(fields, 'host').length !== 1) violations.push(`Host fields of ${startLine}`)
    const seen = { id, method, target, named: named.join(), bodyHash: hashOf(body) }
    requests.set(id, [...(requests.get(id) ?? []), seen])
    const text = `${method} ${id} ${seen.bodyHash}`
    const head = `HTTP/1.1 200 OK\r\nX-Echo: ${id}\r\nContent-Length: ${text.length}\r\n\r\n`
    socket.write(method === 'HEAD' ? head : head + text, 'latin1')
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get violations() {
      return violations
    },
    takeRequests: id => {
      const taken = requests.get(id) ?? []
      requests.delete(id)
      return taken
    },
    ids: () => [...requests.keys()],
    forget: () => {
      requests.clear()
      violations = []
    },
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
