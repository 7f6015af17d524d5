import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { listen } from './listen.ts'

/**
 * Runs a gateway from npm, set up as in its own documentation. The argument names it; a variable has its install
 * folder.
 */
const require = createRequire(`${process.env['BENCH_PEERS']}/`)
const target = process.env['BENCH_UPSTREAM'] ?? ''

interface Fastify {
  register(plugin: unknown, options: object): void
  listen(options: object): Promise<string>
  readonly server: { address(): AddressInfo }
}
interface FastGateway {
  start(port: number, host: string): Promise<{ address(): AddressInfo }>
}

const peers: Readonly<Record<string, () => Promise<void>>> = {
  'http-proxy-middleware': async () => {
    const express = require('express') as () => RequestListener & { use(handler: unknown): void }
    const { createProxyMiddleware } = require('http-proxy-middleware') as {
      readonly createProxyMiddleware: (options: object) => unknown
    }
    const { Agent } = await import('node:http')
    const app = express()
    // Without an agent it would open a connection per request.
    app.use(createProxyMiddleware({ target, xfwd: true, agent: new Agent({ keepAlive: true, maxSockets: 128 }) }))
    listen(createServer(app))
  },
  fastify: async () => {
    const app = (require('fastify') as () => Fastify)()
    app.register(require('@fastify/http-proxy'), { upstream: target })
    await app.listen({ port: 0, host: '127.0.0.1' })
    announce(app.server.address().port)
  },
  'fast-gateway': async () => {
    const gateway = require('fast-gateway') as (options: object) => FastGateway
    const server = await gateway({ routes: [{ prefix: '', target }] }).start(0, '127.0.0.1')
    announce(server.address().port)
  },
}

function announce(port: number): void {
  process.once('disconnect', () => process.exit())
  process.send?.({ event: 'listening', port })
}

await peers[process.argv[2] ?? '']?.()
