import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gatewayArguments } from '../../src/process/gateway-command'
import type { Exit } from '../../tools/stack/managed-process'
import { plainEnvironment, startProcess, type LogEntry, type TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'

export interface RunningGateway {
  /** `http://127.0.0.1:PORT` or https, without a slash at the end. */
  readonly url: string
  readonly port: number
  readonly opsUrl: string
  readonly opsPort: number
  /** The file it was started with; rewrite it to try a reload. */
  readonly configFile: string
  readonly process: TestProcess
  /** What it has logged so far. */
  readonly logs: readonly LogEntry[]
  /** SIGTERM, and SIGKILL after `timeoutMs` (default 15 s). */
  stop(timeoutMs?: number): Promise<Exit>
  kill(): Promise<Exit>
}

export interface GatewayOptions {
  /** The text of `gateway.yaml`. */
  readonly config: string
  /** Settings beside `PORT=0`, `HOST=127.0.0.1` and `OPS_PORT=0`, which can be overridden too. */
  readonly env?: NodeJS.ProcessEnv
  /** More arguments for Node, before the script. */
  readonly nodeArgs?: readonly string[]
}

/** Several workers on a busy machine start one after the other. */
const START_TIMEOUT_MS = 30_000

/** The built gateway as a child process, once it listens. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { child, configFile } = launchGateway(options)
  const {
    scheme,
    port,
    ops_port: opsPort,
  } = await child.waitForLog('"listening"', entry => entry['event'] === 'listening', START_TIMEOUT_MS)
  return {
    url: `${String(scheme)}://127.0.0.1:${Number(port)}`,
    port: Number(port),
    opsUrl: `http://127.0.0.1:${Number(opsPort)}`,
    opsPort: Number(opsPort),
    configFile,
    process: child,
    get logs() {
      return child.logs
    },
    stop: async (timeoutMs = 15_000) => child.stop(timeoutMs),
    kill: async () => child.kill(),
  }
}

/** The same without waiting: for a gateway that is not expected to start. */
export function launchGateway({ config, env = {}, nodeArgs = [] }: GatewayOptions): {
  child: TestProcess
  configFile: string
} {
  const configFile = join(temporaryFolder(), 'gateway.yaml')
  writeFileSync(configFile, config)
  // Compiled, this file is dist/test/support/start-gateway.js.
  const dist = resolve(__dirname, '../..')
  const main = join(dist, 'src/main.js')
  if (!existsSync(main)) throw new Error(`${main} is missing: build first`)
  const child = startProcess({
    name: 'gateway',
    path: process.execPath,
    args: gatewayArguments(dist, nodeArgs),
    env: plainEnvironment({ PORT: '0', HOST: '127.0.0.1', OPS_PORT: '0', GATEWAY_CONFIG: configFile, ...env }),
    cwd: resolve(dist, '..'),
  })
  return { child, configFile }
}
