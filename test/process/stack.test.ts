import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { needs } from '../support/needs'
import { isAlive } from '../support/process-status'
import { plainEnvironment, startProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const ROOT = resolve(__dirname, '../../..')

/** The script of `npm run stack`. It uses other ports where its own are in use. */
function startStack(folder: string, env = plainEnvironment()): TestProcess {
  return startProcess({
    name: 'npm run stack',
    path: process.execPath,
    args: [join(ROOT, 'dist/tools/stack/main.js'), '--folder', folder],
    env,
    cwd: ROOT,
  })
}

async function isUp(stack: TestProcess): Promise<void> {
  await stack.waitForLine('the summary', line => line.includes('Ctrl-C stops all of it'), 60_000)
}

/** The address that the summary shows for a program. */
function addressOf(stack: TestProcess, what: string): string {
  const line = stack.lines.find(text => text.startsWith(`    ${what} `))
  return line?.trim().split(/\s{2,}/)[1] ?? assert.fail(`the summary does not say where ${what} is`)
}

function pidsOf(stack: TestProcess): number[] {
  return stack.lines.map(line => Number(/ pid (\d+)$/.exec(line)?.[1])).filter(pid => !Number.isNaN(pid))
}

/** Programs that we built have an API only: the summary and the browser both say so. */
async function tellsWhetherThereArePages(stack: TestProcess, name: string): Promise<void> {
  const summary = stack.lines.find(line => line.startsWith(`    ${name} `)) ?? ''
  const response = await fetch(addressOf(stack, name))
  assert.equal(response.status, 200)
  assert.equal((await response.text()).includes('has no web pages'), summary.includes('API only'), summary)
  const line = stack.lines.find(text => text.startsWith('Uses ')) ?? ''
  assert.match(line, new RegExp(`\\b${name.toLowerCase()} \\d+\\.\\d+\\.\\d+ \\(`))
}

interface Target {
  readonly labels: { readonly job: string }
  readonly health: string
}

describe('npm run stack', function () {
  this.timeout(90_000)

  before(needs('redis-server', 'redis_exporter', 'prometheus', 'alertmanager'))

  it('starts all programs, counts limits in Redis, and stops all of them on SIGTERM', async () => {
    const folder = temporaryFolder()
    const stack = startStack(folder)
    await isUp(stack)
    const pids = pidsOf(stack)
    assert.ok(pids.length >= 7, stack.lines.join('\n'))

    await until(() => countsInRedis(stack), { what: 'a request that was counted in Redis' })
    await until(() => allTargetsAreUp(addressOf(stack, 'Prometheus')), {
      what: 'all targets are up',
      timeoutMs: 40_000,
    })
    assert.equal((await fetch(addressOf(stack, 'mail that alerts sent'))).status, 200)
    for (const name of ['Prometheus', 'Alertmanager']) await tellsWhetherThereArePages(stack, name)

    const second = startStack(folder)
    assert.deepEqual(await second.exited, { code: 1, signal: null })
    assert.match(second.lines.join('\n'), /stack\.lock is still held/)

    assert.deepEqual(await stack.stop(), { code: 0, signal: null })
    assert.deepEqual(pids.filter(isAlive), [])
    assert.ok(existsSync(join(folder, 'stack/logs/prometheus.log')), 'the logs are kept')
  })

  it('keeps running without a program that exited, and leaves nothing behind when it is killed', async () => {
    const stack = startStack(temporaryFolder())
    await isUp(stack)
    const pids = pidsOf(stack)
    const exporter = stack.lines.find(line => line.startsWith('  redis_exporter '))
    assert.ok(exporter)
    process.kill(Number(exporter.split(' pid ')[1]), 'SIGKILL')
    await stack.waitForLine('the loss', line =>
      line.startsWith('redis_exporter: ended (exit code null, signal SIGKILL)'),
    )
    assert.equal((await fetch(`${addressOf(stack, 'gateway')}/demo/status/200`)).status, 200)

    await stack.kill()
    await until(() => !pids.some(isAlive), { what: 'all programs have ended', timeoutMs: 20_000 })
  })
})

describe('npm run stack during a build', () => {
  it('stops at once on a signal, and leaves no half-built program', async () => {
    const programs = temporaryFolder()
    const cache = temporaryFolder()
    const writeProgram = (name: string, script: string): void =>
      writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    writeProgram('redis-server', 'echo "Redis server v=7.0.15 sha=0"')
    writeProgram('redis_exporter', 'echo "Redis Metrics Exporter v1.45.0"')
    writeProgram('go', 'exec /bin/sleep 60')
    const env = { ...plainEnvironment(), PATH: programs, XDG_CACHE_HOME: cache }
    const stack = startStack(temporaryFolder(), env)
    const built = /^Building Prometheus \d+\.\d+\.\d+ .*, once, into/
    await stack.waitForLine('the build', line => built.test(line), 20_000)
    assert.deepEqual(await stack.stop(), { code: 0, signal: null })
    assert.deepEqual(
      readdirSync(join(cache, 'myesi-gateway')).filter(name => !name.endsWith('.lock')),
      [],
    )
  })
})

async function countsInRedis(stack: TestProcess): Promise<boolean> {
  const response = await fetch(`${addressOf(stack, 'gateway')}/demo/status/200`)
  assert.equal(response.status, 200)
  const metrics = await (await fetch(`${addressOf(stack, 'operations')}/metrics`)).text()
  const decisions = metrics.split('\n').filter(line => line.startsWith('gateway_rate_limiting_requests_total{'))
  return decisions.some(line => line.includes('store="redis"') && !line.endsWith(' 0'))
}

async function allTargetsAreUp(prometheusUrl: string): Promise<boolean> {
  const response = await fetch(`${prometheusUrl}/api/v1/targets?state=active`)
  const { activeTargets } = ((await response.json()) as { data: { activeTargets: Target[] } }).data
  const jobs = new Set(activeTargets.map(target => target.labels.job))
  const expected = ['alertmanager', 'myesi-api', 'prometheus', 'redis']
  return expected.every(job => jobs.has(job)) && activeTargets.every(({ health }) => health === 'up')
}
