import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Settings } from '../config/types'

/** The ports that were got; or one sentence for each that was not. */
export type Listening = { readonly port: number; readonly opsPort: number } | { readonly problems: readonly string[] }

/**
 * The gateway's port is tried when the ops port could not be had too: whoever mends one learns of the other at once.
 *
 * @param onOpsPort told before the gateway's port is there
 */
export async function listenOnBoth(
  opsServer: Server,
  server: Server,
  { opsPort, opsHost, port, host }: Settings,
  onOpsPort: (port: number) => void,
): Promise<Listening> {
  const ops = await listen(opsServer, opsPort, opsHost, 'OPS_PORT')
  if (typeof ops === 'number') onOpsPort(ops)
  const gateway = await listen(server, port, host, 'PORT')
  if (typeof ops === 'number' && typeof gateway === 'number') return { opsPort: ops, port: gateway }
  return { problems: [ops, gateway].filter(result => typeof result === 'string') }
}

/** @returns the port, or why there is none. */
function listen(server: Server, port: number, host: string, variable: string): Promise<number | string> {
  return new Promise(resolve => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(listenProblem(error, port, host, variable))
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function listenProblem(error: NodeJS.ErrnoException, port: number, host: string, variable: string): string {
  const where = `myesi-gateway cannot listen on ${host}:${port} (${variable})`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${where}: the port is in use. Stop the process that has it, or set ${variable} to another port (0 takes any free one).`
    case 'EACCES':
      return `${where}: not permitted. Ports below 1024 need a privilege; set ${variable} to 1024 or more.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${where}: this machine has no such address. Set ${variable.replace('PORT', 'HOST')} to one it has (0.0.0.0 for all).`
    case undefined:
    default:
      return `${where}: ${error.message}`
  }
}
