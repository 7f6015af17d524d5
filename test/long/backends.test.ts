import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { findJaeger, findVictoriaLogs, findVictoriaMetrics } from '../../tools/backends/programs'
import { read } from '../monitoring/monitoring-files'
import { freePort } from '../support/free-port'
import { needsFound } from '../support/needs'
import { needsCollector } from '../support/needs-collector'
import { sendMany } from '../support/send-many'
import { startCollector, type RunningCollector } from '../support/start-collector'
import { startGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { plainEnvironment, startProcess, type TestProcess } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** More than the default sampling of anything keeps out. */
const REQUESTS = 5
const ARRIVAL_TIMEOUT_MS = 60_000

describe('a request through the gateway and the Collector', function () {
  this.timeout(180_000)
  before(needsCollector())

  describe('to VictoriaMetrics and VictoriaLogs', () => {
    before(needsFound(findVictoriaMetrics))
    before(needsFound(findVictoriaLogs))

    it('is found by their query languages', async () => {
      const metrics = await startStore('victoria-metrics', await findVictoriaMetrics(), [
        // Its own protection against late samples would hide the newest 30 seconds.
        '-search.latencyOffset=0s',
      ])
      const logs = await startStore('victoria-logs', await findVictoriaLogs(), [])
      const { collector } = await sendThrough('victoriametrics.env', {
        VICTORIAMETRICS_URL: metrics.url,
        VICTORIALOGS_URL: logs.url,
      })

      const count = 'http_server_request_duration_seconds_count{http_route="/app"}'
      const found = await until(
        async () => {
          const query = `${metrics.url}/api/v1/query?query=${encodeURIComponent(`sum(${count})`)}`
          const { data } = (await (await fetch(query)).json()) as {
            data: { result: { value: [number, string] }[] }
          }
          return data.result[0]?.value[1]
        },
        { what: 'the metric is in VictoriaMetrics', timeoutMs: ARRIVAL_TIMEOUT_MS },
      )
      assert.equal(found, `${REQUESTS}`)

      const records = await until(
        async () => {
          const query = encodeURIComponent('"url.path":="/app/x"')
          const text = await (await fetch(`${logs.url}/select/logsql/query?query=${query}`)).text()
          const lines = text.split('\n').filter(line => line !== '')
          return lines.length >= REQUESTS && lines.map(line => JSON.parse(line) as Record<string, string>)
        },
        { what: 'the log records are in VictoriaLogs', timeoutMs: ARRIVAL_TIMEOUT_MS },
      )
      assert.deepEqual(new Set(records.map(record => record['http.response.status_code'])), new Set(['200']))
      assert.equal(new Set(records.map(record => record['trace_id'])).size, REQUESTS)
      await collector.stop()
      for (const store of [metrics, logs]) await store.process.stop()
    })
  })

  describe('to Jaeger', () => {
    before(needsFound(findJaeger))

    it('is found by its trace id', async () => {
      const jaeger = await startJaeger(await findJaeger())
      const { traces, collector } = await sendThrough('jaeger.env', { JAEGER_OTLP_ENDPOINT: jaeger.otlp })
      const spans = await until(
        async () => {
          const response = await fetch(`${jaeger.url}/api/traces/${traces[0]}`)
          const { data } = (await response.json()) as {
            data?: { spans: { operationName: string; references: { refType: string }[] }[] }[]
          }
          return data?.[0]?.spans
        },
        { what: 'the trace is in Jaeger', timeoutMs: ARRIVAL_TIMEOUT_MS },
      )
      assert.deepEqual(spans.map(span => span.operationName).sort(), ['GET', 'GET /app'])
      const services = (await (await fetch(`${jaeger.url}/api/services`)).json()) as { data: string[] }
      assert.ok(services.data.includes('myesi-api'))
      await collector.stop()
      await jaeger.process.stop()
    })
  })
})

interface Sent {
  /** The ids of the traces. */
  readonly traces: readonly string[]
  /** Still running: what it has not sent when it stops would wait on its disk. */
  readonly collector: RunningCollector
}

/** Sends requests through a gateway, until it has ended, whose telemetry goes to a Collector with these settings. */
async function sendThrough(file: string, env: NodeJS.ProcessEnv): Promise<Sent> {
  const upstream = await startUpstream()
  const collector = await startCollector({ env: { ...parseEnv(read(`otel/collector/backends/${file}`)), ...env } })
  const gateway = await startGateway({
    config: JSON.stringify(proxyTo(upstream.url)),
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'otlp',
    },
  })
  await sendMany(gateway.url, REQUESTS, () => ({ path: '/app/x' }))
  const requests = (): unknown[] => gateway.logs.filter(entry => entry['path'] === '/app/x')
  await until(() => requests().length === REQUESTS, { what: 'every request is in the log' })
  const traces = gateway.logs.filter(entry => entry['path'] === '/app/x').map(entry => String(entry['trace_id']))
  // At its end it sends what it holds.
  await gateway.stop()
  await upstream.stop()
  return { traces, collector }
}

interface Store {
  readonly url: string
  readonly process: TestProcess
}

/** A program of VictoriaMetrics, with its data in a temporary folder. */
async function startStore(name: string, path: string, args: readonly string[]): Promise<Store> {
  const address = `127.0.0.1:${await freePort()}`
  const places = [`-httpListenAddr=${address}`, `-storageDataPath=${join(temporaryFolder(), name)}`]
  const process = startProcess({ name, path, args: [...places, ...args], env: plainEnvironment() })
  await ready(process, `http://${address}/health`)
  return { url: `http://${address}`, process }
}

/** Jaeger 2 with its traces in memory. */
async function startJaeger(path: string): Promise<Store & { readonly otlp: string }> {
  const [otlp, web, query] = [await freePort(), await freePort(), await freePort()].map(port => `127.0.0.1:${port}`)
  const file = join(temporaryFolder(), 'jaeger.yaml')
  const config = {
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 1_000 } } } },
      jaeger_query: { storage: { traces: 'memory' }, http: { endpoint: web }, grpc: { endpoint: query } },
    },
    receivers: { otlp: { protocols: { grpc: { endpoint: otlp } } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: { metrics: { level: 'none' } },
    },
  }
  writeFileSync(file, JSON.stringify(config))
  const process = startProcess({ name: 'jaeger', path, args: [`--config=${file}`], env: plainEnvironment() })
  await ready(process, `http://${web}/api/services`)
  return { otlp: otlp!, url: `http://${web}`, process }
}

async function ready(child: TestProcess, url: string): Promise<void> {
  const isUp = async (): Promise<boolean> => child.exit !== undefined || (await fetch(url)).ok
  await until(isUp, { what: `${child.name} answers`, timeoutMs: 60_000 })
  if (child.exit !== undefined) throw child.failure('ended before it answered')
}
