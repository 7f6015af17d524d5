import './require-node'
import './env-file'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { processEnv } from '../../src/config/env'
import { onNpmExit } from '../../src/process/on-npm-exit'
import { describeBinary, findBinary, type Binary, type BinaryName } from './binaries'
import { findCollector, type CollectorBinary } from './collector'
import { firstScrape } from './first-scrape'
import { freePort } from './free-port'
import { takeLock } from './lock-file'
import { makeRunFolder } from './run-folder'
import { startStack, type ReadyComponent, type Stack, type StackPorts } from './stack'
import { summary } from './summary'

/**
 * `npm run stack`: docker-compose.yml without Docker. Runs Redis, redis_exporter, Prometheus, Alertmanager, catchers
 * for mail and Slack, the demo upstream and the gateway as local processes until Ctrl-C. Data and logs are in `.run/`,
 * or in the folder that `--folder` names.
 */

/** Compiled, this file is dist/tools/stack/main.js. */
const { values } = parseArgs({ options: { folder: { type: 'string', default: resolve(__dirname, '../../../.run') } } })
const NEEDED: readonly BinaryName[] = ['redis-server', 'redis_exporter', 'prometheus', 'alertmanager']
/**
 * One Ctrl-C arrives twice, because npm passes it on; one that comes later than this is a second request: do not wait.
 */
const SAME_REQUEST_MS = 1_000

const env = processEnv()

void main().then(
  () => process.exit(0),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error))
    process.exit(1)
  },
)

async function main(): Promise<void> {
  const stopRequested = listenForSignals()
  // Building missing programs takes minutes: Ctrl-C ends it at once.
  const binaries = await Promise.race([findBinaries(), stopRequested])
  if (binaries === undefined) return
  const collector = await findBuiltCollector()
  say(`Uses ${[...binaries, ...(collector === undefined ? [] : [collector])].map(describeBinary).join(', ')}.`)
  mkdirSync(values.folder, { recursive: true })
  // Two runs in one checkout would remove each other's data.
  const unlock = await takeLock(join(values.folder, 'stack.lock'), { timeoutMs: 0, log: say })
  try {
    const folder = makeRunFolder(join(values.folder, 'stack'))
    const ports = await choosePorts()
    const stack = await startStack({ ports, folder, env, collector, onReady: sayReady })
    say('Waiting for Prometheus to look at everything once …')
    const stopping = new AbortController()
    void stopRequested.then(() => stopping.abort())
    const down = await firstScrape(`http://127.0.0.1:${ports.prometheus}`, stopping.signal)
    if (down.length > 0) say(`Prometheus cannot scrape: ${down.join(', ')}`)
    say(summary({ ports, stack, logs: folder.logs, withoutPages: withoutPages(binaries) }))
    void sayWhoEnds(stack, stopRequested)
    await stopRequested
    say('Stopping …')
    await stack.stop()
  } finally {
    await unlock()
  }
}

function listenForSignals(): Promise<void> {
  return new Promise<void>(requestStop => {
    onNpmExit(requestStop)
    let requestedAt: number | undefined
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        // Processes that still run are killed at exit, see managed-process.ts.
        if (requestedAt !== undefined && Date.now() - requestedAt > SAME_REQUEST_MS) process.exit(1)
        requestedAt ??= Date.now()
        requestStop()
      })
    }
  })
}

/** @throws with all missing programs in one message */
async function findBinaries(): Promise<Binary[]> {
  const binaries: Binary[] = []
  const missing: string[] = []
  for (const name of NEEDED) {
    try {
      binaries.push(await findBinary(name, { log: say }))
    } catch (error) {
      missing.push(error instanceof Error ? error.message : String(error))
    }
  }
  if (missing.length > 0)
    throw new Error(['The stack needs programs that this machine lacks:', ...missing].join('\n  '))
  return binaries
}

/** The programs that we built: their Go modules lack the web interface. */
function withoutPages(binaries: readonly Binary[]): ReadonlySet<string> {
  return new Set(binaries.filter(({ origin }) => origin === 'built').map(({ name }) => name))
}

/** Finds an existing Collector: building one takes minutes, and the stack works without it. */
async function findBuiltCollector(): Promise<CollectorBinary | undefined> {
  try {
    return await findCollector({ go: undefined, log: say })
  } catch {
    say('Without a Collector: there is none yet (npm run collector:build makes one).')
    return undefined
  }
}

/** The ports of docker-compose.yml if they are free, else any. */
async function choosePorts(): Promise<StackPorts> {
  const taken = new Set<number>()
  const choose = async (name: string, preferred: number): Promise<number> => {
    let port = await freePort(preferred)
    while (taken.has(port)) port = await freePort()
    taken.add(port)
    if (port !== preferred) say(`Port ${preferred} is in use: ${name} gets ${port}.`)
    return port
  }
  return {
    gateway: await choose('the gateway', Number(env['PORT'] || 8000)),
    gatewayOps: await choose('its ops port', Number(env['OPS_PORT'] || 9464)),
    demo: await choose('the demo upstream', 9001),
    redis: await choose('Redis', 6379),
    redisExporter: await choose('redis_exporter', 9121),
    prometheus: await choose('Prometheus', 9090),
    alertmanager: await choose('Alertmanager', 9093),
    incidents: await choose('the incident service', 9095),
    smtp: await choose('the mail catcher', 1025),
    mailPage: await choose('its page', 8025),
    slackCatcher: await choose('the Slack catcher', 8026),
    collector: {
      grpc: await choose('OTLP over gRPC', 4317),
      http: await choose('OTLP over HTTP', 4318),
      health: await choose('the Collector’s health', 13133),
      telemetry: await choose('the Collector’s own metrics', 8888),
      prometheus: await choose('metrics out of the Collector', 8889),
    },
  }
}

function sayReady({ name, address, process: { pid }, afterMs }: ReadyComponent): void {
  say(`  ${name.padEnd(15)} ready after ${(afterMs / 1000).toFixed(1).padStart(4)} s   ${address}   pid ${pid}`)
}

/** Reports a program that ends and keeps the others running: the stack is meant for trying out failures. */
async function sayWhoEnds({ components }: Stack, stopRequested: Promise<void>): Promise<void> {
  const running = new Set(components.map(({ process: child }) => child))
  while (running.size > 0) {
    const ends = [...running].map(async child => child.exited.then(() => child))
    const ended = await Promise.race([stopRequested, ...ends])
    if (ended === undefined) return
    running.delete(ended)
    say(ended.failure('ended').message)
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
