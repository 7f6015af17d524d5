import type { AddressInfo, Server } from 'node:net'
import type { Settings } from '../config/types'

/** The ports in use. */
export interface Ports {
  readonly port: number
  readonly opsPort: number
}

/** The ports in use; or one sentence for each port that could not be opened. */
export type Listening = Ports | { readonly problems: readonly string[] }

/**
 * Listens on all ports. The others are tried even if one fails, so that all problems are reported together.
 *
 * @param onOpsPort called with the ops port before the gateway's port is opened
 */
export async function listenOnAll(
  opsServer: Server,
  server: Server,
  { opsPort, opsHost, port, host }: Settings,
  onOpsPort: (port: number) => void,
  redirect?: { readonly server: Server; readonly port: number },
): Promise<Listening> {
  const ops = await listen(opsServer, opsPort, opsHost, 'OPS_PORT')
  if (typeof ops === 'number') onOpsPort(ops)
  const gateway = await listen(server, port, host, 'PORT')
  const redirects = redirect && (await listen(redirect.server, redirect.port, host, REDIRECT_PORT))
  if (typeof ops === 'number' && typeof gateway === 'number' && typeof redirects !== 'string') {
    return { opsPort: ops, port: gateway }
  }
  return { problems: [ops, gateway, redirects].filter(result => typeof result === 'string') }
}

const REDIRECT_PORT = 'entrypoint.tls.redirectHttp.port'

/** Listens on a port. @returns the port, or the problem */
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
      return `${where}: the port is in use. Stop the process that has it, or set ${variable} to another port${variable === REDIRECT_PORT ? '' : ' (0 takes any free one)'}.`
    case 'EACCES':
      return `${where}: not permitted. Ports below 1024 need a privilege; set ${variable} to 1024 or more.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${where}: this machine has no such address. Set ${variable === 'OPS_PORT' ? 'OPS_HOST' : 'HOST'} to one it has (0.0.0.0 for all).`
    case undefined:
    default:
      return `${where}: ${error.message}`
  }
}
