import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** A program to start. */
export interface ProcessSpec {
  readonly name: string
  /** Default: this Node. */
  readonly command?: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The port of a program that cannot report it over a Node channel. */
  readonly port?: number
}

const STOP_TIMEOUT_MS = 10_000
/** Time limit for an answer; a process that takes longer is stuck. */
const ANSWER_TIMEOUT_MS = 15_000
const PORT_CHECK_MS = 10
/** The environment variables that measured processes inherit: the user's other settings must not affect the results. */
const INHERITED = ['PATH', 'HOME', 'SYSTEMROOT', 'TMPDIR', 'TEMP', 'TMP']

const running = new Set<Program>()

/** A process in the measurement. Node programs end by themselves when their channel to the bench closes. */
export class Program {
  readonly name: string
  /** Milliseconds from start to listening. */
  startUpMs = NaN
  readonly #child: ChildProcess
  readonly #complaints: string[] = []

  /** @param core the core it is pinned to; undefined: not pinned */
  constructor({ name, command = process.execPath, args, env = {}, port }: ProcessSpec, core: number | undefined) {
    this.name = name
    // taskset executes the program in the same process, so the process id is the program's.
    const pinned = core === undefined ? [command, ...args] : ['taskset', '-c', String(core), command, ...args]
    this.#child = spawn(pinned[0] as string, pinned.slice(1), {
      env: { ...inherited(), NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'ignore', 'pipe', ...(port === undefined ? (['ipc'] as const) : [])],
    })
    running.add(this)
    this.#child.once('exit', () => running.delete(this))
    this.#child.once('error', error => {
      this.#complaints.push(error.message)
      running.delete(this)
    })
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#complaints.push(text.toString())
      if (this.#complaints.length > 50) this.#complaints.shift()
    })
  }

  /** True for Node programs: they can answer questions. */
  get hasChannel(): boolean {
    return this.#child.connected
  }

  get pid(): number {
    return this.#child.pid ?? NaN
  }

  /**
   * Sends a question and resolves with the next message of that kind.
   *
   * @throws if the process ends or does not answer in time; the message contains its standard error
   */
  async ask<Answer>(event: string, question?: object | string, timeoutMs = ANSWER_TIMEOUT_MS): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        this.#child.off('message', onMessage).off('exit', onExit)
        act()
      }
      const fail = (what: string): void => settle(() => reject(this.#failure(what)))
      const onMessage = (message: unknown): void => {
        if ((message as { event?: unknown }).event === event) settle(() => resolve(message as Answer))
      }
      const onExit = (code: number | null): void => fail(`ended with code ${code}`)
      const timer = setTimeout(() => fail(`sent no "${event}" for ${timeoutMs} ms`), timeoutMs)
      this.#child.on('message', onMessage).on('exit', onExit)
      if (question !== undefined) this.#child.send(question)
    })
  }

  /** Waits until the port accepts connections. */
  async listensOn(port: number): Promise<void> {
    const deadline = performance.now() + ANSWER_TIMEOUT_MS
    while (!(await takesConnections(port))) {
      if (!running.has(this)) throw this.#failure('ended at once')
      if (performance.now() > deadline) throw this.#failure(`does not listen on port ${port}`)
      await wait(PORT_CHECK_MS)
    }
  }

  async stop(): Promise<void> {
    if (!running.has(this)) return
    const exited = once(this.#child, 'exit')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    if (this.#child.connected) this.#child.disconnect()
    else this.#child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }

  #failure(what: string): Error {
    return new Error(`${this.name} ${what}\n${this.#complaints.join('')}`)
  }
}

/** A program that listens. */
export interface Listening {
  readonly program: Program
  readonly port: number
  /** The port of `/metrics`, for our gateway. */
  readonly opsPort: number | undefined
  /** All requests it answered, including warm-ups. */
  answered: number
}

export async function start(spec: ProcessSpec, core: number | undefined): Promise<Listening> {
  const startedAt = performance.now()
  const program = new Program(spec, core)
  let listening: { readonly port: number; readonly opsPort?: number }
  if (spec.port === undefined) listening = await program.ask('listening')
  else {
    await program.listensOn(spec.port)
    listening = { port: spec.port }
  }
  program.startUpMs = performance.now() - startedAt
  return { program, port: listening.port, opsPort: listening.opsPort, answered: 0 }
}

/** Node arguments that make a program report its longest pause; the gateway itself does not. */
export const WATCH_LOOP = ['--require', join(import.meta.dirname, 'programs/watch-loop.cts')]

/** One of the helper programs. */
export function helper(name: string): ProcessSpec {
  return { name, args: [join(import.meta.dirname, `programs/${name}.ts`)] }
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(async program => program.stop()))
}

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.includes(name.toUpperCase())))
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise(resolve => {
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
