import { createServer } from 'node:net'

/**
 * Finds a free TCP port of the loopback interface: `preferred` if it is free, else any other. For programs that cannot
 * use port 0; another process may take the port before they start.
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
