import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { COLLECTOR_AGENT_CONFIG, COLLECTOR_CONFIG } from '../../tools/stack/collector'
import { needsCollector } from '../support/needs-collector'
import { collectorProcess } from '../support/start-collector'
import { temporaryFolder } from '../support/temporary-folder'

/** The output of the command, and its exit code. */
async function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; said: string }> {
  const child = await collectorProcess(args, env)
  const timer = setTimeout(() => child.signal('SIGKILL'), 15_000)
  const { code } = await child.exited
  clearTimeout(timer)
  return { code, said: child.lines.join('\n') }
}

const validate = async (env: NodeJS.ProcessEnv = {}, config = COLLECTOR_CONFIG): ReturnType<typeof run> =>
  run(['validate', `--config=${config}`], env)

describe('the Collector configuration', () => {
  before(needsCollector())

  for (const [name, config] of Object.entries({ collector: COLLECTOR_CONFIG, agent: COLLECTOR_AGENT_CONFIG })) {
    it(`${name}.yaml is accepted unchanged`, async () => {
      assert.deepEqual(await validate({}, config), { code: 0, said: '' })
    })
  }

  it('sends each signal to all of its exporters', async () => {
    const { code, said } = await validate({
      OTELCOL_HOST: '0.0.0.0',
      TRACES_EXPORTERS: '[otlp_grpc/traces, otlp_http/vendor, debug]',
      TRACES_OTLP_GRPC_HEADERS: '{x-scope-orgid: team}',
      METRICS_EXPORTERS: '[prometheus, otlp_http/prometheus, prometheus_remote_write, otlp_http/vendor]',
      PROMETHEUS_REMOTE_WRITE_HEADERS: '{"x-scope-orgid": "team"}',
      LOGS_EXPORTERS: '[otlp_http/logs, otlp_http/vendor]',
      VENDOR_OTLP_ENDPOINT: 'https://otlp.example.com',
      VENDOR_OTLP_HEADERS: '{"api-key": "a=b,c"}',
    })
    assert.deepEqual({ code, said }, { code: 0, said: '' })
  })

  for (const [name, config] of Object.entries({ collector: COLLECTOR_CONFIG, agent: COLLECTOR_AGENT_CONFIG })) {
    it(`${name}.yaml takes Kafka with several brokers, TLS and a password`, async () => {
      const { code, said } = await validate(
        {
          OTELCOL_RECEIVERS: '[otlp, kafka]',
          TRACES_EXPORTERS: '[kafka]',
          AGENT_TRACES_EXPORTERS: '[kafka]',
          KAFKA_BROKERS: 'kafka-1:9092,kafka-2:9092',
          KAFKA_INSECURE: 'false',
          KAFKA_AUTH: '{sasl: {username: gateway, password: "a:b", mechanism: SCRAM-SHA-512}}',
        },
        config,
      )
      assert.deepEqual({ code, said }, { code: 0, said: '' })
    })

    it(`${name}.yaml is rejected with a mechanism that Kafka does not have`, async () => {
      const { code, said } = await validate(
        { KAFKA_AUTH: '{sasl: {username: a, password: b, mechanism: MD5}}' },
        config,
      )
      assert.equal(code, 1)
      assert.match(said, /mechanism/)
    })
  }

  it('is rejected with an unknown exporter', async () => {
    const env = { TRACES_EXPORTERS: '[otlp_grpc/traces, jeager]', OTELCOL_QUEUE_DIR: temporaryFolder() }
    const { code, said } = await run([`--config=${COLLECTOR_CONFIG}`], env)
    assert.equal(code, 1)
    assert.match(said, /references exporter "jeager" which is not configured/)
  })

  it('is rejected with an exporter that cannot send the signal', async () => {
    const { code, said } = await validate({ TRACES_EXPORTERS: '[prometheus]' })
    assert.equal(code, 1)
    assert.match(said, /"prometheus" exporter for data type "traces"/)
  })

  it('is rejected with an invalid list', async () => {
    const { code, said } = await validate({ LOGS_EXPORTERS: 'otlp_http/logs' })
    assert.equal(code, 1)
    assert.match(said, /pipelines\[logs\]\.exporters' source data must be an array/)
  })

  it('is rejected with a threshold that is not a number', async () => {
    const { code, said } = await validate({ TAIL_BASELINE_PERCENT: '5%' })
    assert.equal(code, 1)
    assert.match(said, /sampling_percentage' expected type 'float64'/)
  })

  it('has every variable in the README, with its default', () => {
    const folder = join(COLLECTOR_CONFIG, '..')
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
    const used = [...`${read('collector.yaml')}${read('agent.yaml')}`.matchAll(/\$\{env:(\w+):-([^}]*)\}/g)]
    const documented = [...read('README.md').matchAll(/^\| `([A-Z_]+)` +\| `([^`]*)` +\|/gm)]
    const sorted = (found: RegExpMatchArray[]): string[] =>
      [...new Set(found.map(([, name, value]) => `${name}=${value}`))].sort()
    assert.deepEqual(sorted(documented), sorted(used))
    // A variable without a default would be empty, and so would the address or number.
    assert.doesNotMatch(read('collector.yaml') + read('agent.yaml'), /\$\{env:\w+\}/)
  })
})
