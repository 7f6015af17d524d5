import { createServer } from 'node:net'

/**
 * A TCP port of the loopback interface that nobody listens on: `preferred` if it is free, else any other. For programs
 * that cannot take port 0 themselves; between this answer and their start somebody else may take it.
 */
export async function freePort(preferred = 0): Promise<number> {
  const port = await listenOnce(preferred).catch(() => undefined)
  return port ?? listenOnce(0)
}

async function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'))
        else resolve(address.port)
      })
    })
  })
}
