import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const STOP_TIMEOUT_MS = 10_000
/** A process that does not answer for so long is stuck, and so would we be. */
const ANSWER_TIMEOUT_MS = 15_000
/** All that a measured process gets to see of our environment: settings of whoever measures must not be measured. */
const INHERITED = ['PATH', 'HOME', 'SYSTEMROOT', 'TMPDIR', 'TEMP', 'TMP']

const running = new Set<Program>()

/** A process that takes part in the measurement. All of them end by themselves when their channel to us closes. */
export class Program {
  readonly name: string
  readonly #child: ChildProcess
  readonly #complaints: string[] = []

  /** @param args Node's arguments, the program last */
  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.name = name
    this.#child = fork(args.at(-1) as string, {
      execArgv: args.slice(0, -1),
      env: { ...inherited(), NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    running.add(this)
    this.#child.once('exit', () => running.delete(this))
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#complaints.push(text.toString())
      if (this.#complaints.length > 50) this.#complaints.shift()
    })
  }

  /**
   * Asks, and resolves with the next message of that kind.
   *
   * @throws when the process ends instead, or says nothing for 15 s; the message carries what it wrote to standard error
   */
  async ask<Answer>(event: string, question?: object | string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        this.#child.off('message', onMessage).off('exit', onExit)
        act()
      }
      const fail = (what: string): void =>
        settle(() => reject(new Error(`${this.name} ${what}\n${this.#complaints.join('')}`)))
      const onMessage = (message: unknown): void => {
        if ((message as { event?: unknown }).event === event) settle(() => resolve(message as Answer))
      }
      const onExit = (code: number | null): void => fail(`ended with code ${code}`)
      const timer = setTimeout(() => fail(`said no "${event}" for ${ANSWER_TIMEOUT_MS} ms`), ANSWER_TIMEOUT_MS)
      this.#child.on('message', onMessage).on('exit', onExit)
      if (question !== undefined) this.#child.send(question)
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    if (this.#child.connected) this.#child.disconnect()
    await exited
    clearTimeout(timer)
  }
}

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.includes(name.toUpperCase())))
}

/** One of the programs beside the measured ones. */
export function helper(name: string): Program {
  return new Program(name, [join(import.meta.dirname, `programs/${name}.ts`)])
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(async program => program.stop()))
}
