import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { treeUsage } from './process-tree.ts'

/**
 * What a request costs with two workers, compared with one process and with two separate gateways: `node bench/workers.ts`, after a
 * build. CPU time of the whole process tree, primary included, in alternating slices, so that the load of the machine meets
 * all alike. The results are in docs/performance.md.
 */
const SLICES = 12
/** Many: one collection of the old generation costs as much as a thousand requests. */
const PER_SLICE = 10_000
/** For each process: V8 has compiled what runs often by then. */
const WARM_UP = 10_000
/** For each process that serves: with fewer, each wakes up more often for less. */
const CONNECTIONS = 32

interface Subject {
  readonly child: ChildProcess
  readonly agent: Agent
  readonly port: number
  readonly pids: readonly number[]
  readonly costs: number[]
}

const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'))
const upstream = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
const started: ChildProcess[] = []
try {
  await new Promise(resolve => upstream.once('listening', resolve))
  const target = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const file = join(folder, 'gateway.yaml')
  const routes = [{ name: 'app', match: { path: '/' }, upstream: 'app' }]
  writeFileSync(file, JSON.stringify({ upstreams: { app: { targets: [target] } }, routes }))
  const [one, two] = [await start(file, 1), await start(file, 2)]
  // Two gateways of one process each: what the same load costs on two processes without a primary and IPC.
  const pair = [await start(file, 1), await start(file, 1)]
  const costsOfPair: number[] = []
  for (const subject of [one, two, ...pair]) await send(subject, WARM_UP * Math.max(1, subject.pids.length))
  const before = two.pids.map(cpuOf)
  const [primaryBefore, startedAt] = [cpuOfPrimary(two), performance.now()]
  for (let slice = 0; slice < SLICES; slice++) {
    for (const subject of slice % 2 === 0 ? [one, two] : [two, one]) {
      const from = cpuOf(subject.child.pid ?? 0)
      await send(subject, PER_SLICE)
      subject.costs.push((cpuOf(subject.child.pid ?? 0) - from) / PER_SLICE)
    }
    const from = cpuOfAll(pair)
    await Promise.all(pair.map(subject => send(subject, PER_SLICE / 2)))
    costsOfPair.push((cpuOfAll(pair) - from) / PER_SLICE)
  }
  const used = two.pids.map((pid, index) => cpuOf(pid) - (before[index] ?? 0))
  const ofPrimary = (cpuOfPrimary(two) - primaryBefore) / (performance.now() - startedAt)
  const total = used.reduce((sum, micros) => sum + micros, 0)
  const ratios = two.costs.map((cost, index) => cost / (one.costs[index] ?? NaN))
  process.stdout.write(
    [
      `one process: ${median(one.costs).toFixed(0)} µs of CPU per request`,
      `two workers: ${median(two.costs).toFixed(0)} µs, primary included, which uses ${ofPrimary.toFixed(1)} ms of CPU in each second, busy or not`,
      `ratio: ${median(ratios).toFixed(3)} (median of ${SLICES} pairs; ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
      `two separate gateways: ${median(costsOfPair).toFixed(0)} µs; two workers ÷ these: ${median(two.costs.map((cost, index) => cost / (costsOfPair[index] ?? NaN))).toFixed(3)}`,
      `share of each worker: ${used.map(micros => `${Math.round((100 * micros) / total)} %`).join(', ')}`,
      '',
    ].join('\n'),
  )
} finally {
  for (const child of started) child.kill('SIGTERM')
  upstream.close()
  upstream.closeAllConnections()
  rmSync(folder, { recursive: true })
}

async function start(file: string, workers: number): Promise<Subject> {
  const args = ['--min-semi-space-size=16', '--require', './dist/otel/sdk/register.js', 'dist/src/main.js']
  const env = {
    ...process.env,
    PORT: '0',
    OPS_PORT: '0',
    HOST: '127.0.0.1',
    GATEWAY_CONFIG: file,
    WORKERS: String(workers),
  }
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(child)
  const listening = await new Promise<{ port: number; ops_port: number }>((resolve, reject) => {
    let text = ''
    child.once('exit', code => reject(new Error(`the gateway ended with ${code}`)))
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString()
      const line = text.split('\n').find(found => found.includes('"event":"listening"') && found.endsWith('}'))
      if (line !== undefined) resolve(JSON.parse(line) as { port: number; ops_port: number })
      if (text.length > 100_000) text = ''
    })
  })
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const status = (await (await fetch(`http://127.0.0.1:${listening.ops_port}/status`)).json()) as {
    workers?: { running: { pid: number }[] }
  }
  const pids = status.workers?.running.map(({ pid }) => pid) ?? []
  return { child, agent, port: listening.port, pids, costs: [] }
}

async function send({ agent, port, pids }: Subject, count: number): Promise<void> {
  let left = count
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise<void>((resolve, reject) => {
        get({ port, host: '127.0.0.1', path: '/', agent }, response => {
          response.resume().once('end', resolve)
        }).once('error', reject)
      })
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS * Math.max(1, pids.length) }, client))
}

function cpuOf(pid: number): number {
  return treeUsage(pid).cpuMicros
}

function cpuOfPrimary({ child, pids }: Subject): number {
  return cpuOf(child.pid ?? 0) - pids.reduce((sum, pid) => sum + cpuOf(pid), 0)
}

function cpuOfAll(subjects: readonly Subject[]): number {
  return subjects.reduce((sum, { child }) => sum + cpuOf(child.pid ?? 0), 0)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (
    ((sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? NaN)) / 2
  )
}
