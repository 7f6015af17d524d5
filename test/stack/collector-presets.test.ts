import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { COLLECTOR_AGENT_CONFIG, COLLECTOR_CONFIG } from '../../tools/stack/collector'
import { filesMatching, read } from '../monitoring/monitoring-files'
import { needsCollector } from '../support/needs-collector'
import { newTraceId, sendSpans } from '../support/otlp-send'
import { JSON_ENCODING, startOtlpSink } from '../support/otlp-sink'
import { collectorProcess, startCollector } from '../support/start-collector'
import { until } from '../support/until'

const FILES = filesMatching('otel/collector/backends/*.env')

/** The variables of the file, as a shell or Compose reads them. */
function variablesOf(file: string): NodeJS.ProcessEnv {
  return parseEnv(read(file))
}

describe('the environment files of telemetry backends', function () {
  this.timeout(60_000)
  before(needsCollector())

  it('are there for every backend of the documentation, with the variables that it names', () => {
    const documented = [...read('docs/collector.md').matchAll(/^\| `([\w-]+\.env)` \|.*\| ([^|]+) \|$/gm)]
    assert.deepEqual(documented.map(([, name]) => `otel/collector/backends/${name}`).sort(), FILES)
    for (const [, name, named = ''] of documented) {
      const used = [...read(`otel/collector/backends/${name}`).matchAll(/\$\{env:(\w+):-/g)].map(found => found[1])
      assert.deepEqual(
        [...named.matchAll(/`(\w+)`/g)].map(found => found[1]),
        used,
        name,
      )
    }
  })

  it('set only what collector.yaml or agent.yaml reads', () => {
    const text = [COLLECTOR_CONFIG, COLLECTOR_AGENT_CONFIG].map(file => readFileSync(file, 'utf8')).join('')
    const known = new Set([...text.matchAll(/\$\{env:(\w+)/g)].map(([, name]) => name))
    for (const file of FILES) {
      assert.deepEqual(
        Object.keys(variablesOf(file)).filter(name => !known.has(name)),
        [],
        file,
      )
    }
  })

  for (const file of FILES) {
    it(`${file.replace(/^.*\//, '')} is a valid configuration without any other variable`, async () => {
      for (const config of [COLLECTOR_CONFIG, COLLECTOR_AGENT_CONFIG]) {
        const child = await collectorProcess(['validate', `--config=${config}`], variablesOf(file))
        const { code } = await child.exited
        assert.deepEqual({ code, said: child.lines.join('\n') }, { code: 0, said: '' })
      }
    })
  }

  it('send to the endpoint and with the key that other variables name', async () => {
    const backend = await startOtlpSink()
    const collector = await startCollector({
      env: {
        ...variablesOf('otel/collector/backends/honeycomb.env'),
        HONEYCOMB_API_ENDPOINT: backend.url,
        HONEYCOMB_API_KEY: 'key-of-the-test',
      },
      overlays: [JSON_ENCODING],
    })
    await sendSpans(collector.url, [{ traceId: newTraceId() }])
    const request = await until(() => backend.requests.find(({ path }) => path === '/v1/traces'), {
      what: 'the span arrives',
    })
    assert.equal(request.headers['x-honeycomb-team'], 'key-of-the-test')
    assert.equal(request.headers['x-honeycomb-dataset'], 'gateway-metrics')
    await collector.stop()
    await backend.stop()
  })
})
