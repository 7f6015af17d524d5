import cluster, { type Worker } from 'node:cluster'
import { setTimeout as delay } from 'node:timers/promises'
import type { GatewayFileContent } from '../config/gateway-file'
import type { Logger } from '../telemetry/logger'
import { gatewayMeter } from '../telemetry/scope'
import { RememberedNews, type TargetNews } from '../upstream/target-news'
import { METRIC_WORKER_LISTENING, METRIC_WORKER_RESTARTS, METRIC_WORKER_UNANSWERED } from '../telemetry/semconv'
import { Channel, type Handler } from './channel'
import type { Connections } from './connections'
import type { DrainOrder, ReloadOrder, WorkerStart } from './worker-link'

/** The first replacement of a worker comes at once, further ones at growing distances. */
const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 30_000
/** A worker that has lived this long has not failed because of its start. */
const SETTLED_MS = 60_000

interface Member {
  readonly id: number
  readonly worker: Worker
  readonly channel: Channel
  readonly startedAtMs: number
  isListening: boolean
}

/** The state of one worker for the status page. */
export interface WorkerState {
  readonly pid: number
  readonly startedAtMs: number
  readonly isListening: boolean
}

export interface WorkerPoolOptions {
  readonly count: number
  readonly log: Logger
  readonly content: GatewayFileContent
  readonly connections: Connections
  /** Answers to what workers ask the primary. */
  readonly handlers: Readonly<Record<string, (value: unknown, worker: number) => unknown>>
  /** Called when a worker has ended. */
  readonly onEnd: (worker: number) => void
}

/** The processes that serve. One that ends is replaced, until `drain`. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #members = new Map<number, Member>()
  readonly #restarts = gatewayMeter().createCounter(METRIC_WORKER_RESTARTS, {
    unit: '{restart}',
    description: 'Workers that ended unexpectedly and were replaced',
  })
  readonly #unanswered = gatewayMeter().createCounter(METRIC_WORKER_UNANSWERED, {
    unit: '{question}',
    description: 'Times that a worker did not answer the primary in time: its last counters stand for it',
  })
  readonly #news = new RememberedNews()
  #content: GatewayFileContent
  #delayMs = FIRST_DELAY_MS
  #restarted = 0
  #hasStarted = false
  /** The worker that makes the health checks of all. */
  #checking: number | undefined
  #isDraining = false

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#content = options.content
    this.#restarts.add(0)
    this.#unanswered.add(0)
    gatewayMeter()
      .createObservableGauge(METRIC_WORKER_LISTENING, {
        unit: '{worker}',
        description: 'Workers that accept requests',
      })
      .addCallback(result => result.observe(this.listening))
  }

  /** Starts all workers. @returns undefined when all take connections; or the exit code of one that could not start */
  async start(): Promise<number | undefined> {
    cluster.setupPrimary({ serialization: 'advanced' })
    return new Promise(resolve => {
      const onListening = (): void => {
        if (this.#hasStarted || this.listening < this.#options.count) return
        this.#hasStarted = true
        resolve(undefined)
      }
      for (let i = 0; i < this.#options.count; i++) {
        this.#fork(onListening, exitCode => {
          if (!this.#hasStarted) resolve(exitCode)
        })
      }
    })
  }

  get listening(): number {
    return [...this.#members.values()].filter(({ isListening }) => isListening).length
  }

  get restarts(): number {
    return this.#restarted
  }

  states(): WorkerState[] {
    return [...this.#members.values()].map(({ worker, startedAtMs, isListening }) => {
      return { pid: worker.process.pid ?? 0, startedAtMs, isListening }
    })
  }

  /** Asks all workers that listen. Undefined: this one did not answer in time. */
  async askAll(kind: string, value: unknown, timeoutMs: number): Promise<{ worker: number; answer: unknown }[]> {
    const asked = [...this.#members.values()].filter(({ isListening }) => isListening)
    return Promise.all(
      asked.map(async ({ id, channel }) => {
        const answer = await channel.ask(kind, value, timeoutMs)
        if (answer === undefined && this.#members.has(id)) this.#unanswered.add(1)
        return { worker: id, answer }
      }),
    )
  }

  /**
   * Gives the workers a new configuration, one after another. The first one that refuses it decides for all; a later one
   * that fails is replaced.
   *
   * @throws if the first worker refuses the configuration: no worker has taken it
   */
  async reload(content: GatewayFileContent, cause: string, timeoutMs: number): Promise<void> {
    const before = this.#content
    // From now on, also for a worker that starts meanwhile.
    this.#content = content
    let taken = 0
    for (const member of this.#members.values()) {
      const { id, channel, worker } = member
      const deadline = Date.now() + timeoutMs
      while (!member.isListening && this.#members.has(id) && Date.now() < deadline) await delay(10)
      const answer = await channel.ask('reload', { content, cause } satisfies ReloadOrder, timeoutMs)
      if (!this.#members.has(id)) continue // it has ended; the next one starts with the new content
      if (answer === true) taken++
      else if (taken > 0) {
        this.#options.log.error({ event: 'worker', worker: id }, 'worker did not take the new configuration: replaced')
        worker.process.kill('SIGKILL')
      } else {
        this.#content = before
        throw new Error(typeof answer === 'string' ? answer : 'a worker did not take the configuration in time')
      }
    }
  }

  /**
   * Ends all workers. They serve new connections for `delayMs`, then those that the primary has accepted, and finish their
   * requests. Those that have not ended in time are killed.
   */
  async drain(order: DrainOrder, delayMs: number, timeoutMs: number): Promise<void> {
    this.#isDraining = true
    for (const { channel, worker, isListening } of this.#members.values()) {
      if (isListening) channel.tell('drain', order)
      // It has no request yet.
      else worker.process.kill('SIGKILL')
    }
    if (delayMs > 0) await delay(delayMs)
    this.#options.connections.close()
    for (const { channel } of this.#members.values()) channel.tell('lastConnection')
    const deadline = Date.now() + timeoutMs
    while (this.#members.size > 0 && Date.now() < deadline) await delay(10)
    this.kill()
  }

  /** Ends all workers at once. */
  kill(): void {
    this.#isDraining = true
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL')
  }

  #fork(onListening: () => void, onFailedStart: (exitCode: number) => void): void {
    const { connections, count, handlers, log } = this.#options
    const worker = cluster.fork({ WORKERS: String(count) })
    const { id } = worker
    const listening: Handler = () => {
      member.isListening = true
      connections.add(worker)
      this.#chooseChecking()
      onListening()
    }
    const channel = new Channel(
      {
        // A worker that has just ended: its exit is handled below.
        send: message => void (worker.isConnected() && worker.process.send(message, () => {})),
        onMessage: listener => void worker.on('message', listener),
      },
      {
        listening,
        targetNews: news => this.#spread(news as TargetNews, id),
        ...Object.fromEntries(
          Object.entries(handlers).map(([kind, handle]) => [kind, (value: unknown) => handle(value, id)]),
        ),
      },
    )
    const member: Member = { id, worker, channel, startedAtMs: Date.now(), isListening: false }
    this.#members.set(id, member)
    channel.tell('start', { content: this.#content, news: this.#news.all() } satisfies WorkerStart)
    worker.on('error', error => log.error({ event: 'worker', worker: id, err: error }, 'worker could not be reached'))
    worker.once('exit', (code: number | null, signal: string | null) => {
      this.#members.delete(id)
      connections.remove(worker)
      channel.close()
      this.#options.onEnd(id)
      if (this.#checking === id) this.#checking = undefined
      this.#chooseChecking()
      if (this.#isDraining) return
      if (!this.#hasStarted) return onFailedStart(code === null || code === 0 ? 1 : code)
      this.#replace(member, { code, signal }, onListening, onFailedStart)
    })
  }

  /** Tells all other workers what one knows about a target. */
  #spread(news: TargetNews, from: number): void {
    this.#news.add(news)
    for (const { id, channel } of this.#members.values()) if (id !== from) channel.tell('targetNews', news)
  }

  #chooseChecking(): void {
    if (this.#checking !== undefined) return
    const chosen = [...this.#members.values()].find(({ isListening }) => isListening)
    this.#checking = chosen?.id
    chosen?.channel.tell('checkTargets')
  }

  #replace(
    { id, worker, startedAtMs }: Member,
    exit: { readonly code: number | null; readonly signal: string | null },
    ...callbacks: [() => void, (exitCode: number) => void]
  ): void {
    this.#restarts.add(1)
    this.#restarted++
    if (Date.now() - startedAtMs > SETTLED_MS) this.#delayMs = FIRST_DELAY_MS
    const delayMs = this.#delayMs
    this.#delayMs = Math.min(LONGEST_DELAY_MS, 2 * delayMs)
    const line = { event: 'worker', worker: id, pid: worker.process.pid, ...exit, delay_ms: delayMs }
    this.#options.log.error(line, 'worker ended unexpectedly: its requests in flight have failed; another one starts')
    setTimeout(() => {
      if (!this.#isDraining) this.#fork(...callbacks)
    }, delayMs)
  }
}
