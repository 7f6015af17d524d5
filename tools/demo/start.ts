import '../stack/require-node'
import '../stack/env-file'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { processEnv, type Environment } from '../../src/config/env'
import { gatewayArguments } from '../../src/process/gateway-command'
import { freePort } from '../stack/free-port'
import { onNpmExit } from '../../src/process/on-npm-exit'
import { watchSources } from './watch-sources'
import { welcome } from './welcome'

/**
 * `npm start`: runs the gateway, and with the shipped `gateway.yaml` also the demo upstream that the file names. Ends
 * both on Ctrl-C, SIGTERM or SIGHUP, with the gateway's exit code. `--watch` (`npm run dev`) also rebuilds and restarts
 * the gateway on every change of the sources; the gateway itself reloads its file. No process is left behind: a child
 * whose channel to this process closes ends by itself.
 */

/** Compiled, this file is dist/tools/demo/start.js. */
const ROOT = resolve(__dirname, '../../..')
const SHIPPED_FILE = join(ROOT, 'gateway.yaml')
const PREFERRED_DEMO_PORT = 9001
/** The gateway's default limit for requests in flight, and the extra time for flushing its telemetry. */
const DEFAULT_SHUTDOWN_TIMEOUT_MS = 10_000
const STOP_MARGIN_MS = 10_000
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const SAME_REQUEST_MS = 1_000

const env = processEnv()
const configFile = resolve(env['GATEWAY_CONFIG'] || SHIPPED_FILE)
const stopRequested = new Promise<NodeJS.Signals>(requestStop => {
  for (const signal of STOP_SIGNALS) process.on(signal, requestStop)
  onNpmExit(() => requestStop('SIGTERM'))
})

void main().then(code => process.exit(code))

async function main(): Promise<number> {
  // A user's own upstream replaces the demo upstream.
  const demo = configFile === SHIPPED_FILE && !env['DEMO_UPSTREAM_URL'] ? await startDemoUpstream() : undefined
  const gatewayEnv = demo === undefined ? env : { ...env, DEMO_UPSTREAM_URL: demo.url }
  const code = process.argv.includes('--watch') ? await runAndWatch(gatewayEnv) : await runOnce(gatewayEnv)
  // Ended after the gateway, so that its last requests are still answered.
  if (demo !== undefined) await end(demo.child, 'SIGTERM', STOP_MARGIN_MS)
  return code
}

async function runOnce(gatewayEnv: Environment): Promise<number> {
  const gateway = startGateway(gatewayEnv, true)
  const signal = await Promise.race([stopRequested, gateway.ended])
  return typeof signal === 'number' ? signal : endGateway(gateway, signal)
}

async function runAndWatch(gatewayEnv: Environment): Promise<number> {
  const sources = watchSources(ROOT)
  for (let isFirst = true; ; isFirst = false) {
    const gateway = startGateway(gatewayEnv, isFirst)
    let endedByUs = false
    void gateway.ended.then(code => {
      if (!endedByUs) say(`The gateway ended with code ${code}; it starts again on the next change.`)
    })
    const signal = await Promise.race([stopRequested, sources.changed()])
    endedByUs = true
    const code = await endGateway(gateway, signal ?? 'SIGTERM')
    if (signal !== undefined) return code
  }
}

interface Gateway {
  readonly child: ChildProcess
  readonly ended: Promise<number>
}

function startGateway(gatewayEnv: Environment, greet: boolean): Gateway {
  const child = spawn(process.execPath, gatewayArguments(join(ROOT, 'dist')), {
    env: gatewayEnv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Out of the terminal's reach: Ctrl-C goes to every process of the terminal, npm passes it on once more, and a
    // gateway that is asked twice stops without waiting for its requests. On Windows it would get a window of its own.
    detached: process.platform !== 'win32',
  })
  child.on('message', (message: { event?: string; port?: number; opsPort?: number }) => {
    if (message.event !== 'listening') return
    say(greet ? welcome(message.port, message.opsPort, configFile === SHIPPED_FILE) : 'The gateway listens again.')
  })
  return { child, ended: exitCodeOf(child) }
}

async function endGateway({ child, ended }: Gateway, signal: NodeJS.Signals): Promise<number> {
  const waitsMs =
    (Number(env['SHUTDOWN_TIMEOUT_MS']) || DEFAULT_SHUTDOWN_TIMEOUT_MS) + (Number(env['SHUTDOWN_DELAY_MS']) || 0)
  // SIGHUP would make the gateway reload its file; here it means that the terminal is gone.
  await end(child, signal === 'SIGHUP' ? 'SIGTERM' : signal, waitsMs + STOP_MARGIN_MS)
  return ended
}

async function startDemoUpstream(): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort(PREFERRED_DEMO_PORT)
  const child = spawn(process.execPath, [join(__dirname, 'main.js'), '--port', `${port}`], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: process.platform !== 'win32',
  })
  await Promise.race([once(child, 'message'), once(child, 'exit')])
  return { child, url: `http://127.0.0.1:${port}` }
}

/** Asks a child to end and kills it after `timeoutMs`. */
async function end(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  const askedAt = Date.now()
  // One Ctrl-C arrives here more than once (see above); a later one means: do not wait any longer.
  const hurry = (): void => void (Date.now() - askedAt > SAME_REQUEST_MS && child.kill('SIGKILL'))
  for (const again of STOP_SIGNALS) process.on(again, hurry)
  if (process.platform !== 'win32') child.kill(signal)
  // Windows has no signal that a process can handle, but Ctrl-C reaches the child as well; otherwise closing the
  // channel ends it.
  else if (signal !== 'SIGINT') child.disconnect()
  await exited
  clearTimeout(timer)
  for (const again of STOP_SIGNALS) process.off(again, hurry)
}

async function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise(resolve => {
    child.once('error', error => {
      say(`The gateway could not be started: ${error.message}`)
      resolve(1)
    })
    child.once('exit', code => resolve(code ?? 1))
  })
}

/** Writes to standard error: standard output is for the gateway's log. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
