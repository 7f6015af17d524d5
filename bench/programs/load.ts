import { connect, type Socket } from 'node:net'

/**
 * The clients: keep-alive connections, each with its next request as soon as the last was answered. On bare sockets with
 * one prepared request, so that what is measured and not what measures is the bottleneck.
 */
export interface Target {
  readonly port: number
  readonly path: string
  readonly connections: number
}

/** What the parent may say. */
export type Command = { readonly start: Target } | 'count' | 'stop'

let clients: Client[] = []
let answered = 0
let failure: string | undefined

process.once('disconnect', () => process.exit())
process.on('message', (command: Command) => void obey(command))

async function obey(command: Command): Promise<void> {
  if (command === 'stop') {
    // With the last answers, or the end of a slice would be a burst of clients that go away.
    await Promise.all(clients.map(async client => client.finish()))
  } else if (command !== 'count') {
    answered = 0
    failure = undefined
    clients = Array.from({ length: command.start.connections }, () => new Client(command.start))
  }
  process.send?.({ event: 'load', answered, failure })
}

/** The headers a browser's fetch sends, and a length that is common for them. */
function requestBytes({ port, path }: Target): Buffer {
  return Buffer.from(
    [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'Accept: application/json, text/plain, */*',
      'Accept-Language: en-US,en;q=0.5',
      'Accept-Encoding: gzip, deflate, br',
      'Connection: keep-alive',
      '',
      '',
    ].join('\r\n'),
  )
}

class Client {
  readonly #socket: Socket
  readonly #request: Buffer
  #received: Buffer = Buffer.alloc(0)
  #isLast = false
  readonly #closed: Promise<void>

  constructor(target: Target) {
    this.#request = requestBytes(target)
    this.#socket = connect({ port: target.port, host: '127.0.0.1', noDelay: true }, this.#send)
    this.#socket.on('data', this.#onData)
    this.#socket.on('error', error => (failure ??= error.message))
    this.#closed = new Promise(resolve => {
      this.#socket.once('close', () => {
        if (!this.#isLast) failure ??= 'the connection was closed'
        resolve()
      })
    })
  }

  /** Waits for the answer that is on its way, and asks for no more. */
  async finish(): Promise<void> {
    this.#isLast = true
    await this.#closed
  }

  readonly #send = (): void => {
    this.#socket.write(this.#request)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const head = this.#received.indexOf('\r\n\r\n')
    if (head === -1) return
    const text = this.#received.toString('latin1', 0, head + 2)
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1]
    if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
      // One bad answer makes the whole measurement worthless: the parent is told and ends it.
      failure ??= text
      this.#socket.destroy()
      return
    }
    const end = head + 4 + Number(length)
    if (this.#received.length < end) return
    this.#received = this.#received.subarray(end)
    answered++
    if (this.#isLast) this.#socket.destroy()
    else this.#send()
  }
}
