import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startGateway } from '../support/start-gateway'

/** Compiled, this file is dist/test/process/start-up.test.js. */
const REPORT_MODULES = join(__dirname, '../fixtures/report-modules.js')
const CONFIG = JSON.stringify({
  upstreams: { app: { targets: ['http://127.0.0.1:1'] } },
  routes: [{ name: 'all', match: { path: '/' }, upstream: 'app' }],
})
/** Modules of a gateway that exports metrics to Prometheus only; NodeSDK and auto-instrumentations-node bring most of them. */
const MOST_MODULES = 1_750
/** Measured: 0.7 s, and half as much again on a busy machine. */
const MOST_CPU_MS = 2_000

describe('the start of the gateway', () => {
  it('loads no client that the configuration does not use', async () => {
    const gateway = await startGateway({
      config: CONFIG,
      env: { OTEL_TRACES_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'prometheus' },
      nodeArgs: ['--require', REPORT_MODULES],
    })
    await gateway.stop()
    const files = gateway.logs.find(({ event }) => event === 'modules')?.['files'] as string[]
    const packages = new Set(
      files.flatMap(file => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file.replaceAll('\\', '/'))?.[1] ?? []),
    )
    const unused = ['ioredis', 'jose']
    assert.ok(packages.has('@opentelemetry/sdk-metrics'))
    assert.deepEqual(
      unused.filter(name => packages.has(name)),
      [],
    )
    assert.ok(files.length <= MOST_MODULES, `${files.length} modules`)
  })

  it('takes less than two seconds of CPU time until it listens', async function () {
    if (process.platform !== 'linux') return this.skip() // read from /proc
    const gateway = await startGateway({ config: CONFIG })
    const cpuMs = cpuTimeMs(gateway.process.pid ?? 0)
    await gateway.stop()
    assert.ok(cpuMs > 0 && cpuMs < MOST_CPU_MS, `${cpuMs} ms`)
  })
})

/** User and system time of all threads, in the kernel's ticks of 10 ms. */
function cpuTimeMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}
