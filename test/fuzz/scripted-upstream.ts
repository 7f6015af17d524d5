import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { readRequests } from './messages'
import { idIn } from './recording-upstream'
import type { Script } from './response-grammar'

export interface ScriptedUpstream {
  readonly url: string
  /** What to answer, by the id that the path ends with. */
  readonly scripts: Map<string, Script>
  stop(): Promise<void>
}

/** An upstream that answers each request with the bytes that are laid down for its id. */
export async function startScriptedUpstream(
  write: (socket: Socket, script: Script) => void,
): Promise<ScriptedUpstream> {
  const open = new Set<Socket>()
  const scripts = new Map<string, Script>()
  const server = createServer({ noDelay: true }, socket => {
    let unread = ''
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      const { messages, rest } = readRequests((unread += chunk.toString('latin1')))
      unread = rest
      for (const { startLine, complete } of messages) {
        if (!complete) continue
        const script = scripts.get(idIn(startLine.split(' ')[1] ?? ''))
        if (script === undefined) socket.destroy()
        else write(socket, script)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    scripts,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
