import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface DelayingProxy {
  readonly url: string
  /** How long the answers of Redis are held back. Those that are held back leave in their order, and at once with 0. */
  delayMs: number
  /** Answers that were held back so far. */
  readonly delayed: number
  /** Packets that the gateway sent so far. */
  readonly packets: number
  stop(): Promise<void>
}

/** Stands between a gateway and Redis, and holds back what Redis says. */
export async function startDelayingProxy(port: number): Promise<DelayingProxy> {
  const sockets = new Set<Socket>()
  const held = new Set<() => void>()
  let delayMs = 0
  let delayed = 0
  let packets = 0
  const server = createServer(client => {
    const redis = connect(port, '127.0.0.1')
    for (const socket of [client, redis]) {
      sockets.add(socket)
      socket.on('error', () => undefined) // one side may be gone already
      socket.on('close', () => {
        client.destroy()
        redis.destroy()
      })
    }
    client.on('data', () => packets++)
    client.pipe(redis)
    redis.on('data', chunk => {
      if (delayMs === 0) return void client.write(chunk)
      delayed++
      const timer = setTimeout(release, delayMs)
      held.add(release)
      function release(): void {
        clearTimeout(timer)
        held.delete(release)
        client.write(chunk)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get delayMs() {
      return delayMs
    },
    set delayMs(ms: number) {
      delayMs = ms
      if (ms === 0) for (const release of held) release()
    },
    get delayed() {
      return delayed
    },
    get packets() {
      return packets
    },
    stop: async () => {
      for (const release of held) release()
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
