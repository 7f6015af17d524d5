import { connect, type Socket } from 'node:net'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import { percentile } from '../statistics.ts'

/**
 * Clients that send at a fixed rate, however slow the answers are. Latency counts from the time when a request was due,
 * not from when it was sent: slow answers delay no request, so none is left out (coordinated omission).
 */
export interface OpenLoop {
  readonly port: number
  /** Requested in turn. */
  readonly paths: readonly string[]
  readonly perSecond: number
  readonly connections: number
  readonly seconds: number
}

export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** How late the clients themselves sent, p99: the error of the latencies. */
  readonly lateness: number
  readonly requests: number
  readonly failure?: string
}

/** The first second is not counted: connections and the change of load. */
const IGNORED_MS = 1_000
/** Maximum requests waiting for a connection; beyond it the program cannot keep up. */
const MAX_WAITING = 50_000
/** The last answers may take five seconds. */
const LAST_ANSWER_CHECKS = 1_000
const LAST_ANSWER_CHECK_MS = 5

if (isMainThread) {
  process.once('disconnect', () => process.exit())
  process.on('message', (command: OpenLoop) => {
    void run(command).then(latencies => process.send?.({ event: 'latencies', ...latencies }))
  })
  process.send?.({ event: 'listening', port: 0 }) // for commands
} else keepTime()

/** Waits for each due time in a separate thread: event loop timers have whole milliseconds. */
function keepTime(): void {
  const never = new Int32Array(new SharedArrayBuffer(4))
  parentPort?.once('message', ({ perSecond, seconds }: OpenLoop) => {
    const startedAt = now()
    for (let sent = 0; sent < perSecond * seconds; sent++) {
      const due = startedAt + (sent * 1_000) / perSecond
      const early = due - now()
      if (early > 0) Atomics.wait(never, 0, 0, early)
      parentPort?.postMessage(due)
    }
    parentPort?.postMessage(undefined)
  })
}

/** A clock shared by both threads. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

async function run(command: OpenLoop): Promise<Latencies> {
  const requests = command.paths.map(path =>
    Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${command.port}\r\nAccept: application/json\r\n\r\n`),
  )
  const [latencies, lateness]: [number[], number[]] = [[], []]
  const [idle, waiting]: [Socket[], number[]] = [[], []]
  const dueOf = new Map<Socket, number>()
  let [failure, asked, firstDue]: [string | undefined, number, number] = [undefined, 0, Infinity]

  const send = (socket: Socket, due: number): void => {
    dueOf.set(socket, due)
    if (due - firstDue > IGNORED_MS) lateness.push(now() - due)
    socket.write(requests[asked++ % requests.length] as Buffer)
  }
  const sockets = Array.from({ length: command.connections }, () => {
    const socket = connect({ port: command.port, host: '127.0.0.1', noDelay: true }, () => idle.push(socket))
    socket.on('error', error => (failure ??= error.message))
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      const head = received.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received)?.[1])
      if (!received.startsWith('HTTP/1.1 200 ')) failure ??= received
      if (received.length < head + 4 + length) return
      received = ''
      const due = dueOf.get(socket) as number
      if (due - firstDue > IGNORED_MS) latencies.push(now() - due)
      const next = waiting.shift()
      if (next === undefined) {
        dueOf.delete(socket)
        idle.push(socket)
      } else send(socket, next)
    })
    return socket
  })

  const clock = new Worker(new URL(import.meta.url))
  await new Promise<void>(resolve => {
    clock.on('message', (due: number | undefined) => {
      if (due === undefined || failure !== undefined || waiting.length > MAX_WAITING) return resolve()
      firstDue = Math.min(firstDue, due)
      const socket = idle.pop()
      if (socket) send(socket, due)
      else waiting.push(due)
    })
    clock.postMessage(command)
  })
  await clock.terminate()
  if (waiting.length > MAX_WAITING) failure ??= `it does not keep up with ${command.perSecond} requests per second`
  for (let checks = 0; dueOf.size > 0 && checks < LAST_ANSWER_CHECKS; checks++) {
    await new Promise(resume => setTimeout(resume, LAST_ANSWER_CHECK_MS))
  }
  for (const socket of sockets) socket.destroy()
  return {
    p50: share(latencies, 0.5),
    p99: share(latencies, 0.99),
    p999: share(latencies, 0.999),
    lateness: share(lateness, 0.99),
    requests: latencies.length,
    ...(failure === undefined ? {} : { failure }),
  }
}

function share(values: readonly number[], part: number): number {
  return values.length === 0 ? NaN : percentile(values, part)
}
