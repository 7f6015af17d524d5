import cluster from 'node:cluster'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { processEnv } from '../config/env'
import type { GatewayFileContent } from '../config/gateway-file'
import { Channel, type Handler } from './channel'
import { HandedOver } from './handed-over'
import { TargetExchange, type TargetNews } from '../upstream/target-news'

/** What the primary tells a worker at its start. */
export interface WorkerStart {
  /** The active configuration, as the primary has read it. */
  readonly content: GatewayFileContent
  /** What other workers know about targets. */
  readonly news: readonly TargetNews[]
}

/** A configuration that a worker is to make the active one. */
export interface ReloadOrder {
  readonly content: GatewayFileContent
  readonly cause: string
}

export interface DrainOrder {
  readonly signal: string
}

/** How long the last metrics may take to reach the primary. */
const LEAVE_TIMEOUT_MS = 2_000
/** How long a scrape that a worker received waits for the primary. */
const SCRAPE_TIMEOUT_MS = 10_000

/** A worker's connection to the primary. */
export class WorkerLink {
  readonly started: Promise<WorkerStart>
  /** Settles when the primary has handed over its last connection, or is gone. */
  readonly lastConnection: Promise<void>
  readonly connections = new HandedOver()
  readonly targets = new TargetExchange(news => this.tell('targetNews', news))
  readonly #channel: Channel
  readonly #handlers: Record<string, Handler> = {}

  private constructor() {
    const { promise, resolve } = Promise.withResolvers<WorkerStart>()
    this.started = promise
    this.#handlers['start'] = value => {
      for (const news of (value as WorkerStart).news) this.targets.hear(news)
      resolve(value as WorkerStart)
    }
    this.#handlers['targetNews'] = news => this.targets.hear(news as TargetNews)
    this.#handlers['checkTargets'] = () => this.targets.check()
    const last = Promise.withResolvers<void>()
    this.lastConnection = last.promise
    this.#handlers['lastConnection'] = () => last.resolve()
    process.once('disconnect', last.resolve)
    this.#channel = new Channel(
      {
        // A primary that is gone cannot be told anything.
        send: message => void (process.connected && process.send?.(message, undefined, undefined, () => {})),
        onMessage: listener => void process.on('message', listener),
      },
      this.#handlers,
    )
    // Otherwise Node ends a worker at once when the primary is gone, with its requests.
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
  }

  /** @returns undefined unless this process is a worker */
  static connect(): WorkerLink | undefined {
    const { WORKERS } = processEnv()
    return cluster.isWorker && Number(WORKERS) > 1 ? new WorkerLink() : undefined
  }

  /** Sets the answers to the primary's questions and orders. */
  handle(handlers: Readonly<Record<string, Handler>>): void {
    Object.assign(this.#handlers, handlers)
  }

  tell(kind: string, value?: unknown): void {
    this.#channel.tell(kind, value)
  }

  /** Hands the last metrics to the primary, so that nothing that was counted is lost. */
  async leave(metrics: readonly unknown[]): Promise<void> {
    await this.#channel.ask('lastMetrics', metrics, LEAVE_TIMEOUT_MS)
  }

  /** Answers a scrape that this worker received: only the primary has the metrics of all. */
  scrape(request: IncomingMessage, response: ServerResponse): void {
    void this.#channel.ask('scrape', request.headers.accept, SCRAPE_TIMEOUT_MS).then(answer => {
      const found = answer as { readonly contentType: string; readonly body: Uint8Array } | undefined
      if (found === undefined) return response.writeHead(503).end('# metrics could not be collected\n')
      response.writeHead(200, { 'content-type': found.contentType, 'cache-control': 'no-store', vary: 'accept' })
      return response.end(found.body)
    })
  }
}
