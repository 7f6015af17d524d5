import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { EventEmitter } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export interface ProcessCommand {
  /** For messages and the log file. */
  readonly name: string
  readonly path: string
  readonly args: readonly string[]
  /** The whole environment of the process; default: ours. */
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** The user and group that it runs as; only root can choose. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** Opens a message channel, through which a Node child notices when we are gone. */
  readonly ipc?: boolean
  /** Starts a process group of its own: Ctrl-C reaches it only through us, in our order. */
  readonly detached?: boolean
  /** Every line of its output is also written to this file. */
  readonly logFile?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Maximum lines kept per process: enough for tests, and bounded for a process that logs all night. */
const MAX_LINES = 10_000

const alive = new Set<ManagedProcess>()

/** Kills the remaining processes at exit, so that none outlives us. */
process.on('exit', () => {
  for (const child of alive) child.signal('SIGKILL')
})

/** A child process: its output by line, its exit, and a stop that always completes. */
export class ManagedProcess {
  readonly name: string
  /** Standard output and error as lines in the order they arrived; the last 10 000. */
  readonly lines: string[] = []
  /** Resolves when the process is gone and its output was read to the end; never rejects. */
  readonly exited: Promise<Exit>
  /** Set once `exited` is resolved. */
  exit: Exit | undefined
  readonly #child: ChildProcess
  readonly #events = new EventEmitter().setMaxListeners(0)

  constructor(command: ProcessCommand) {
    this.name = command.name
    this.#child = spawn(command.path, command.args, {
      ...(command.env === undefined ? {} : { env: command.env }),
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
      stdio: command.ipc === true ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
      // On Windows, detached would open a window.
      detached: command.detached === true && process.platform !== 'win32',
      windowsHide: true,
    })
    alive.add(this)
    const log = command.logFile === undefined ? undefined : createWriteStream(command.logFile)
    log?.on('error', error => this.#addLine(`[log file] ${error.message}`))
    this.#read(this.#child.stdout, log)
    this.#read(this.#child.stderr, log)
    this.#child.on('message', message => this.#events.emit('message', message))
    this.exited = new Promise(resolve => {
      const end = (exit: Exit): void => {
        this.exit = exit
        alive.delete(this)
        const tell = (): void => {
          resolve(exit)
          this.#events.emit('end')
        }
        // A caller that waits for the exit may read the file next; its last lines must be written, or the write has
        // failed.
        if (log === undefined) tell()
        else log.end(tell)
      }
      // "close", not "exit": at "exit" the last lines, which say why it ended, may still be in the pipe.
      this.#child.once('close', (code, signal) => end({ code, signal }))
      this.#child.on('error', error => {
        this.#addLine(error.message)
        if (this.#child.pid === undefined) end({ code: null, signal: null })
      })
    })
  }

  /** Undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  onLine(listener: (line: string) => void): void {
    this.#events.on('line', listener)
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#events.on('message', listener)
  }

  /**
   * The first line, past or future, for which `matches` is true.
   *
   * @throws if the process ends before, or after `timeoutMs`; the message has its last lines.
   */
  async waitForLine(what: string, matches: (line: string) => boolean, timeoutMs = 15_000): Promise<string> {
    const past = this.lines.find(matches)
    if (past !== undefined) return past
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        this.#events.off('line', onLine)
        this.#events.off('end', onEnd)
        act()
      }
      const onLine = (line: string): void => {
        if (matches(line)) settle(() => resolve(line))
      }
      const onEnd = (): void => settle(() => reject(this.failure(`ended before ${what}`)))
      const timer = setTimeout(() => settle(() => reject(this.failure(`no ${what} within ${timeoutMs} ms`))), timeoutMs)
      this.#events.on('line', onLine)
      this.#events.once('end', onEnd)
      if (this.exit !== undefined) onEnd()
    })
  }

  /** Creates an error about this process, with its last lines. */
  failure(what: string): Error {
    const { code, signal } = this.exit ?? { code: null, signal: null }
    const end = this.exit === undefined ? '' : ` (exit code ${code}, signal ${signal})`
    return new Error([`${this.name}: ${what}${end}`, ...this.lines.slice(-20).map(line => `  ${line}`)].join('\n'))
  }

  /** Sends a signal if the process still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.exit === undefined) this.#child.kill(signal)
  }

  /**
   * Asks the process to end, and kills it after `timeoutMs`. Resolves with its exit, at once if it had ended already.
   */
  async stop(timeoutMs = 10_000, signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal(signal)
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs)
    try {
      return await this.exited
    } finally {
      clearTimeout(timer)
    }
  }

  /** Kills the process without a chance to clean up. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return this.exited
  }

  #read(stream: Readable | null, log: WriteStream | undefined): void {
    if (stream === null) return
    createInterface({ input: stream }).on('line', line => {
      log?.write(`${line}\n`)
      this.#addLine(line)
    })
  }

  #addLine(line: string): void {
    this.lines.push(line)
    if (this.lines.length > MAX_LINES) this.lines.shift()
    this.#events.emit('line', line)
  }
}

/** All processes started here that have not ended yet. */
export function processesAlive(): readonly ManagedProcess[] {
  return [...alive]
}
