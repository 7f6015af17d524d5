import { inspect } from 'node:util'
import type { DiagLogger } from '@opentelemetry/api'
import type { Diagnostic } from './telemetry'

/** Maximum diagnostics that wait for a sink, and maximum kinds that are distinguished. */
const BOUND = 100
/** Minimum time between two reports of the same problem; a dead collector fails every few seconds for hours. */
const REPEAT_AFTER_MS = 60_000

/** Collects the SDK's own diagnostics until there is a logger, and limits how often each is logged. */
export class Diagnostics {
  readonly #now: () => number
  readonly #waiting: Diagnostic[] = []
  readonly #said = new Map<string, { at: number; held: number }>()
  #sink: ((diagnostic: Diagnostic) => void) | undefined
  #errors = 0

  /** @param now milliseconds, from any origin */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Number of errors so far, logged or suppressed. */
  get errors(): number {
    return this.#errors
  }

  /** For `diag.setLogger`. */
  readonly logger: DiagLogger = {
    error: (message, ...details) => this.say('error', message, details),
    warn: (message, ...details) => this.say('warn', message, details),
    info: (message, ...details) => this.say('info', message, details),
    debug: (message, ...details) => this.say('debug', message, details),
    verbose: (message, ...details) => this.say('debug', message, details),
  }

  say(level: Diagnostic['level'], message: string, details: readonly unknown[] = []): void {
    if (level === 'error') this.#errors++
    const text = [message, ...details].map(describe).join(' ')
    const held = this.#heldBack(`${level} ${text.replace(/\d+/g, '#')}`)
    if (held === undefined) return
    this.#deliver({ level, message: held === 0 ? text : `${text} (and ${held} more like it)` })
  }

  /** @param sink receives the diagnostics that waited, then all later ones */
  onDiagnostic(sink: (diagnostic: Diagnostic) => void): void {
    this.#sink = sink
    for (const diagnostic of this.#waiting.splice(0)) this.#deliver(diagnostic)
  }

  /**
   * @returns undefined when this one is suppressed; otherwise how many of its kind were suppressed since the last
   * report
   */
  #heldBack(kind: string): number | undefined {
    const now = this.#now()
    const last = this.#said.get(kind)
    if (last !== undefined && now - last.at < REPEAT_AFTER_MS) {
      last.held++
      return undefined
    }
    this.#said.delete(kind)
    this.#said.set(kind, { at: now, held: 0 })
    // The oldest kind is dropped, so that messages with a variable part cannot fill the memory.
    if (this.#said.size > BOUND) this.#said.delete(this.#said.keys().next().value!)
    return last?.held ?? 0
  }

  #deliver(diagnostic: Diagnostic): void {
    if (this.#sink === undefined) {
      this.#waiting.push(diagnostic)
      if (this.#waiting.length > BOUND) this.#waiting.shift()
      return
    }
    try {
      this.#sink(diagnostic)
    } catch {
      // A logger that throws must not break an export or the request that caused the diagnostic.
    }
  }
}

/** Shortens a detail to one line: an export error with its stack and response body would fill a screen. */
function describe(detail: unknown): string {
  if (typeof detail === 'string') return detail
  if (detail instanceof AggregateError) return detail.errors.map(describe).join('; ')
  if (detail instanceof Error) return detail.message === '' ? detail.name : `${detail.name}: ${detail.message}`
  return inspect(detail, { depth: 2, breakLength: Infinity })
}
