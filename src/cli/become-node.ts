import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { processEnv, type Environment } from '../config/env'
import { EXIT_OS_ERROR } from '../config/exit-codes'

/**
 * Replaces this process by Node with other arguments: V8 flags and preloaded modules are arguments of Node, which a
 * running program cannot set. If a process cannot be replaced (Windows, or a parent connected by a channel), a child is
 * started: it gets the signals, and its exit code becomes that of this process.
 */
export function becomeNode(args: readonly string[], settings: Environment): void {
  const env = { ...processEnv(), ...settings }
  if (process.execve !== undefined && process.platform !== 'win32' && process.send === undefined) {
    process.execve(process.execPath, [process.execPath, ...args], env)
  }
  const child = spawn(process.execPath, args, { env, stdio: 'inherit' })
  // A terminal sends Ctrl-C to the child too; forwarding it would mean a second signal: stop without waiting for
  // requests.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  process.once('disconnect', () => child.kill('SIGTERM'))
  child.once('error', error => {
    process.stderr.write(`${process.execPath} does not start: ${error.message}\n`)
    process.exit(EXIT_OS_ERROR)
  })
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal as NodeJS.Signals]))
}
