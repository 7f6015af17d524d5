import { findBinary } from '../../tools/stack/binaries'
import { freePort } from './free-port'
import { startProcess, type TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'

export interface RunningRedis {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Its data and working folder. */
  readonly folder: string
  /** Ends it in order. */
  stop(): Promise<void>
  /** Ends it as a crash would: connections are reset, nothing is said. */
  kill(): Promise<void>
  /** It keeps its connections and answers nothing (SIGSTOP): an overloaded or unreachable Redis. */
  freeze(): void
  thaw(): void
  /** After `stop` or `kill`: a new, empty one on the same port. */
  startAgain(): Promise<void>
}

/** A real redis-server on a free loopback port, without persistence. `args` are its own, such as `['--maxmemory', '2mb']`. */
export async function startRedis(args: readonly string[] = []): Promise<RunningRedis> {
  const folder = temporaryFolder()
  let port = await freePort()
  let server = await launch(port, folder, args).catch(async () => {
    // Another test's process may have taken the port in between; a second refusal is real.
    port = await freePort()
    return launch(port, folder, args)
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    get pid() {
      return server.pid ?? 0
    },
    stop: async () => {
      server.signal('SIGCONT')
      await server.stop()
    },
    kill: async () => {
      await server.kill()
    },
    freeze: () => server.signal('SIGSTOP'),
    thaw: () => server.signal('SIGCONT'),
    startAgain: async () => {
      server = await launch(port, folder, args)
    },
  }
}

async function launch(port: number, folder: string, args: readonly string[]): Promise<TestProcess> {
  const binary = await findBinary('redis-server')
  const base = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
  const server = startProcess({ name: 'redis-server', path: binary.path, args: [...base, ...args] })
  await server.waitForLine('readiness', line => line.includes('Ready to accept connections'))
  return server
}
