import { write, writeSync } from 'node:fs'
import { noteBlockedCall } from '../process/blocked-calls'
import { gatewayMeter } from './scope'
import { ATTR_ERROR_TYPE, METRIC_LOG_DROPPED } from './semconv'

/**
 * Maximum bytes of log lines that wait for a slow reader. Further lines are dropped and counted; requests never wait.
 */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024
/** Bytes that a pipe takes as a whole (PIPE_BUF of Linux): the lines of several processes would mix in larger writes. */
const ATOMIC_BYTES = 4_096
/** How long a line may wait to be written in a batch. Each write wakes a thread, which costs more than many lines. */
const BATCH_MS = 50
/** Lines are encoded in groups of about this many characters: one at a time costs more, and many at once outlive a collection. */
const ENCODED_AT_ONCE = 4_096
/** Size of the buffer for encoded lines. When it is full, a batch is written early. */
const ENCODED_BYTES = 65_536
/** Most bytes of a UTF-16 unit in UTF-8. */
const MOST_BYTES_EACH = 3
/** Delay before the next write to a full nonblocking pipe. */
const RETRY_MS = 20
/** A write that takes longer is considered blocked, perhaps forever. */
const STUCK_MS = 1_000

/** Why lines were dropped. */
const CAUSES = ['slow_reader', 'no_space', 'closed', 'other'] as const
type Cause = (typeof CAUSES)[number]

export interface StandardOutputOptions {
  /** Default: standard output and standard error. */
  readonly fd?: number
  readonly errorFd?: number
  readonly maxBufferedBytes?: number
  /** Whether other processes write to the same output. Default: false. */
  readonly isShared?: boolean
  /** Called when lines can be written again, with the number of lost lines. */
  readonly onRecovered: (lines: number, cause: Cause) => void
}

interface Batch {
  readonly lines: number
  bytes: Buffer
  /** The batch begins with a line break, because the line before it was cut off. */
  isAfterCutLine: boolean
}

/**
 * Writes log lines to a file, pipe or terminal that may be full, closed or read too slowly. Lines that cannot be
 * written are dropped and counted, and the first loss of an episode is reported on standard error. Never throws and
 * never blocks.
 */
export class StandardOutput {
  readonly #fd: number
  readonly #errorFd: number
  readonly #maxBufferedBytes: number
  readonly #isShared: boolean
  readonly #onRecovered: StandardOutputOptions['onRecovered']
  readonly #dropped = gatewayMeter().createCounter(METRIC_LOG_DROPPED, {
    unit: '{line}',
    description: 'Log lines that could not be written to standard output',
  })
  /** Lines that are not encoded yet. */
  #text = ''
  #textLines = 0
  readonly #encoded = Buffer.allocUnsafeSlow(ENCODED_BYTES)
  #encodedBytes = 0
  #encodedLines = 0
  #isTimed = false
  #queue: Batch[] = []
  #queuedBytes = 0
  #isWriting = false
  /** Bytes written of the current batch. */
  #written = 0
  #writingSinceMs = 0
  /** The last write failed in the middle of a line, so the next write must begin with a line break. */
  #isLineCut = false
  /** Losses of the current episode. */
  #lost: { lines: number; cause: Cause } | undefined
  #isReporting = false
  #onIdle: (() => void) | undefined
  /** Set while a write that `flush` gave up has not returned. */
  #noteReturned: (() => void) | undefined

  constructor(options: StandardOutputOptions) {
    this.#fd = options.fd ?? 1
    this.#errorFd = options.errorFd ?? 2
    this.#maxBufferedBytes = options.maxBufferedBytes ?? MAX_BUFFERED_BYTES
    this.#isShared = options.isShared ?? false
    this.#onRecovered = options.onRecovered
    // Start each series at 0: `increase()` does not see the first increment of a new series.
    for (const cause of CAUSES) this.#dropped.add(0, { [ATTR_ERROR_TYPE]: cause })
    if (unclosed.size === 0) process.once('exit', writeAllRests)
    unclosed.add(this)
  }

  /** @param line a line including its line break */
  write(line: string): void {
    this.#text += line
    this.#textLines++
    if (this.#text.length >= ENCODED_AT_ONCE) this.#encode()
    if (this.#isTimed) return
    this.#isTimed = true
    setTimeout(onBatchDue, BATCH_MS, this)
  }

  onBatchDue(): void {
    this.#isTimed = false
    this.#takeBatch()
  }

  /** Writes all waiting lines, for at most `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    this.#takeBatch()
    if (!this.#isBusy) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#onIdle = undefined
    if (this.#isBusy) this.#noteReturned ??= noteBlockedCall()
  }

  /** Writes all waiting lines, for at most `timeoutMs`; afterwards it holds nothing of the process. */
  async close(timeoutMs: number): Promise<void> {
    await this.flush(timeoutMs)
    unclosed.delete(this)
    if (unclosed.size === 0) process.removeListener('exit', writeAllRests)
  }

  get #isBusy(): boolean {
    return this.#isWriting || this.#isReporting
  }

  #encode(): void {
    const [text, lines] = [this.#text, this.#textLines]
    this.#text = ''
    this.#textLines = 0
    const most = text.length * MOST_BYTES_EACH
    if (this.#encodedBytes + most > ENCODED_BYTES) this.#enqueueEncoded()
    if (most > ENCODED_BYTES) return this.#enqueue(Buffer.from(text), lines)
    this.#encodedBytes += this.#encoded.write(text, this.#encodedBytes)
    this.#encodedLines += lines
  }

  #takeBatch(): void {
    this.#encode()
    this.#enqueueEncoded()
  }

  #enqueueEncoded(): void {
    if (this.#encodedLines === 0) return
    // A copy: a batch may wait long, and must not keep more memory than it is counted for.
    this.#enqueue(Buffer.from(this.#encoded.subarray(0, this.#encodedBytes)), this.#encodedLines)
    this.#encodedBytes = 0
    this.#encodedLines = 0
  }

  #enqueue(bytes: Buffer, lines: number): void {
    if (this.#queuedBytes + bytes.length > this.#maxBufferedBytes) return this.#drop(lines, 'slow_reader')
    this.#queue.push({ bytes, lines, isAfterCutLine: false })
    this.#queuedBytes += bytes.length
    if (!this.#isWriting) this.#writeFirst()
  }

  #writeFirst(): void {
    const batch = this.#queue[0]
    this.#isWriting = batch !== undefined
    if (batch === undefined) return this.#idle()
    if (this.#isLineCut) {
      batch.bytes = Buffer.concat([Buffer.from('\n'), batch.bytes])
      batch.isAfterCutLine = true
      this.#queuedBytes++
      this.#isLineCut = false
    }
    this.#written = 0
    this.#writeOn(batch)
  }

  #writeOn(batch: Batch): void {
    this.#writingSinceMs = Date.now()
    const length = this.#isShared ? wholeLines(batch.bytes, this.#written) : batch.bytes.length - this.#written
    write(this.#fd, batch.bytes, this.#written, length, null, (error, written) => {
      if (error === null) {
        this.#written += written
        if (this.#written < batch.bytes.length) return this.#writeOn(batch)
        this.#leave(batch)
        this.#recover()
      } else if (error.code === 'EAGAIN') {
        return void setTimeout(() => this.#writeOn(batch), RETRY_MS)
      } else {
        this.#isLineCut = this.#written === 0 ? batch.isAfterCutLine : batch.bytes[this.#written - 1] !== LINE_BREAK
        this.#leave(batch)
        this.#drop(batch.lines, causeOf(error), error.message)
      }
      this.#writeFirst()
    })
  }

  #idle(): void {
    if (this.#isBusy) return
    this.#noteReturned?.()
    this.#noteReturned = undefined
    this.#onIdle?.()
  }

  #leave({ bytes }: Batch): void {
    this.#queue.shift()
    this.#queuedBytes -= bytes.length
  }

  #drop(lines: number, cause: Cause, message = 'it is read too slowly'): void {
    this.#dropped.add(lines, { [ATTR_ERROR_TYPE]: cause })
    if (this.#lost !== undefined) return void (this.#lost.lines += lines)
    this.#lost = { lines, cause }
    this.#report(message)
  }

  #report(message: string): void {
    // Standard error may be blocked as well, so at most one thread may wait for it.
    if (this.#isReporting) return
    this.#isReporting = true
    const text =
      `log lines are lost because standard output cannot be written (${message}). ` +
      'Requests are still served; the lost lines are counted in gateway_log_dropped_total.\n'
    write(this.#errorFd, text, () => {
      this.#isReporting = false
      this.#idle()
    })
  }

  #recover(): void {
    const lost = this.#lost
    if (lost === undefined) return
    this.#lost = undefined
    this.#onRecovered(lost.lines, lost.cause)
  }

  /** Writes the last lines of a process that ends without `flush`, for example by an uncaught exception. */
  writeRest(): void {
    // Another write would block like the current one.
    if (this.#isWriting && Date.now() - this.#writingSinceMs > STUCK_MS) return void noteBlockedCall()
    const waiting = this.#isWriting ? this.#queue.slice(1) : this.#queue
    try {
      for (const { bytes } of waiting) writeSync(this.#fd, bytes)
      writeSync(this.#fd, this.#encoded, 0, this.#encodedBytes)
      writeSync(this.#fd, this.#text)
    } catch {
      // Standard error was the last resort, so the failure cannot be reported.
    }
  }
}

/** Ignores errors of standard error. Its disk may be full as well, and an unhandled error would end the process. */
export function ignoreErrorsOfStandardError(): void {
  process.stderr.on('error', () => {})
}

/** Outputs with lines to write when the process exits. They share one listener: a program may embed many gateways. */
const unclosed = new Set<StandardOutput>()

function writeAllRests(): void {
  for (const output of unclosed) output.writeRest()
}

/** Length of the lines after `from` that one write keeps together; of a longer line, all of it. */
function wholeLines(bytes: Buffer, from: number): number {
  if (bytes.length - from <= ATOMIC_BYTES) return bytes.length - from
  const last = bytes.lastIndexOf(LINE_BREAK, from + ATOMIC_BYTES - 1)
  if (last >= from) return last + 1 - from
  const next = bytes.indexOf(LINE_BREAK, from + ATOMIC_BYTES)
  return (next === -1 ? bytes.length : next + 1) - from
}

function onBatchDue(output: StandardOutput): void {
  output.onBatchDue()
}

const LINE_BREAK = 10

function causeOf({ code }: NodeJS.ErrnoException): Cause {
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return 'no_space'
  if (code === 'EPIPE' || code === 'EBADF' || code === 'ECONNRESET') return 'closed'
  return 'other'
}
