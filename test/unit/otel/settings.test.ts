import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { INSTRUMENTATION_NAMES } from '../../../otel/sdk/instrumentation-names'
import { parseSettings, type TelemetrySettings } from '../../../otel/sdk/settings'
import type { TelemetryProblem } from '../../../otel/sdk/telemetry'
import { namesInTelemetryDocs } from '../../support/documented-names'

type Variables = Readonly<Record<string, string>>

function accepted(variables: Variables): TelemetrySettings {
  const { settings, problems } = parseSettings(variables)
  assert.deepEqual(problems, [])
  return settings
}

/** The one thing wrong with them. */
function problemOf(variables: Variables): TelemetryProblem {
  const { problems } = parseSettings(variables)
  assert.equal(problems.length, 1, JSON.stringify(problems))
  return problems[0]!
}

describe('telemetry settings', () => {
  describe('exporters', () => {
    const ENDPOINT = 'http://127.0.0.1:4318'
    for (const [what, variables, exporters] of [
      ['nothing is set', {}, { metrics: ['prometheus'], traces: [], logs: [] }],
      [
        'variables are set but empty',
        { OTEL_METRICS_EXPORTER: '', OTEL_TRACES_EXPORTER: ' ', OTEL_LOGS_EXPORTER: ',' },
        {},
      ],
      ['an OTLP endpoint is set', { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }, { traces: ['otlp'], logs: ['otlp'] }],
      ['an OTLP endpoint is set for traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ENDPOINT }, { traces: ['otlp'] }],
      ['an OTLP endpoint is set for logs', { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: ENDPOINT }, { logs: ['otlp'] }],
      ['an OTLP endpoint is set for metrics', { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: ENDPOINT }, {}],
      [
        'each is named',
        { OTEL_METRICS_EXPORTER: 'otlp', OTEL_TRACES_EXPORTER: 'console', OTEL_LOGS_EXPORTER: 'otlp' },
        { metrics: ['otlp'], traces: ['console'], logs: ['otlp'] },
      ],
      [
        'several are named',
        { OTEL_METRICS_EXPORTER: ' prometheus, otlp,console,otlp ', OTEL_TRACES_EXPORTER: 'otlp,console' },
        { metrics: ['prometheus', 'otlp', 'console'], traces: ['otlp', 'console'] },
      ],
      [
        'none is named, whatever the endpoint',
        {
          OTEL_METRICS_EXPORTER: 'none',
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_LOGS_EXPORTER: 'none',
          OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT,
        },
        { metrics: [], traces: [], logs: [] },
      ],
    ] as const satisfies readonly (readonly [string, Variables, Partial<TelemetrySettings['exporters']>])[]) {
      it(`are as expected when ${what}`, () => {
        const expected = { metrics: ['prometheus'], traces: [], logs: [], ...exporters }
        assert.deepEqual(accepted(variables).exporters, expected)
      })
    }

    for (const [variable, value, allowed, nearest] of [
      ['OTEL_METRICS_EXPORTER', 'promethues', 'otlp, console, prometheus, none', 'prometheus'],
      ['OTEL_METRICS_EXPORTER', 'statsd', 'otlp, console, prometheus, none', undefined],
      ['OTEL_TRACES_EXPORTER', 'prometheus', 'otlp, console, none', undefined],
      ['OTEL_TRACES_EXPORTER', 'oltp', 'otlp, console, none', 'otlp'],
      ['OTEL_LOGS_EXPORTER', 'consol', 'otlp, console, none', 'console'],
    ] as const) {
      it(`refuse ${variable}=${value}${nearest === undefined ? '' : ` and point to ${nearest}`}`, () => {
        assert.deepEqual(problemOf({ [variable]: value }), {
          where: variable,
          problem: `"${value}" is not known`,
          allowed,
          ...(nearest === undefined ? {} : { nearest }),
        })
      })
    }

    it('refuse none beside others, which the SDK takes now for one and now for the other', () => {
      assert.equal(problemOf({ OTEL_TRACES_EXPORTER: 'none,otlp' }).where, 'OTEL_TRACES_EXPORTER')
    })
  })

  it('take the protocol of a signal before the general one', () => {
    const settings = accepted({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/json' })
    assert.deepEqual(settings.protocols, { metrics: 'grpc', traces: 'grpc', logs: 'http/json' })
    assert.equal(accepted({}).protocols.traces, 'http/protobuf')
  })

  it('keep the export timeout within the interval', () => {
    assert.deepEqual(accepted({}).metricExport, { intervalMs: 60_000, timeoutMs: 30_000 })
    assert.deepEqual(accepted({ OTEL_METRIC_EXPORT_INTERVAL: '500' }).metricExport, { intervalMs: 500, timeoutMs: 500 })
  })

  it('pass on the bounds of the batches, and only those that are set', () => {
    const settings = accepted({ OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BLRP_SCHEDULE_DELAY: '200' })
    assert.deepEqual(settings.spanBatches, { maxQueueSize: 10 })
    assert.deepEqual(settings.logBatches, { scheduledDelayMillis: 200 })
  })

  it('leave http, express and undici to the gateway unless the stock instrumentations are asked for', () => {
    assert.deepEqual(accepted({}).instrumentations, ['ioredis', 'pino', 'runtime-node'])
    assert.deepEqual(accepted({ TELEMETRY_HTTP_INSTRUMENTATION: 'stock' }).instrumentations, [
      'http',
      'express',
      'undici',
      'ioredis',
      'pino',
      'runtime-node',
    ])
  })

  it('switch instrumentations on and off by name', () => {
    assert.deepEqual(accepted({ OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'pino, ioredis' }).instrumentations, [
      'runtime-node',
    ])
    assert.deepEqual(accepted({ OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pino,dns' }).instrumentations, ['pino', 'dns'])
  })

  for (const [variable, value] of [
    ['OTEL_SDK_DISABLED', 'yes'],
    ['OTEL_LOG_LEVEL', 'chatty'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'http'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'protobuf'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:70000'],
    ['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT', 'tcp://collector:4318'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '0'],
    ['OTEL_EXPORTER_OTLP_LOGS_TIMEOUT', '10s'],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd'],
    ['OTEL_NODE_ENABLED_INSTRUMENTATIONS', 'ioredys'],
    ['OTEL_NODE_DISABLED_INSTRUMENTATIONS', 'pinoo'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x a=1'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x%0d%0a=1'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=1%0d%0ay: 2'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x='],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=a;b'],
    ['OTEL_EXPORTER_OTLP_HEADERS', `x=${'a'.repeat(8_200)}`],
    ['OTEL_EXPORTER_OTLP_LOGS_HEADERS', 'x=%00'],
    ['OTEL_EXPORTER_OTLP_METRICS_HEADERS', 'x(y)=1'],
    ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'x a=1'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=50%'],
    ['OTEL_EXPORTER_OTLP_INSECURE', '1'],
    ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/does/not/exist.pem'],
    ['OTEL_METRIC_EXPORT_INTERVAL', '-1'],
    ['OTEL_METRIC_EXPORT_INTERVAL', '1.5'],
    ['OTEL_METRIC_EXPORT_TIMEOUT', '60001'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', 'many'],
    ['OTEL_BLRP_MAX_EXPORT_BATCH_SIZE', '0'],
    ['OTEL_SPAN_EVENT_COUNT_LIMIT', '-5'],
    ['OTEL_TRACES_SAMPLER', 'traceidratio_parentbased'],
    ['OTEL_PROPAGATORS', 'jaeger'],
    ['OTEL_PROPAGATORS', 'none,tracecontext'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=b=c'],
    ['OTEL_NODE_RESOURCE_DETECTORS', 'kubernetes'],
    ['OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', 'deltas'],
    ['OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION', 'exponential'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http:/collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:99999'],
    ['OTEL_METRICS_EXEMPLAR_FILTER', 'always_on'],
    ['OTEL_METRICS_EXEMPLAR_FILTER', 'some'],
    ['TELEMETRY_HTTP_INSTRUMENTATION', 'both'],
  ] as const) {
    it(`refuse ${variable}=${value}`, () => {
      assert.equal(problemOf({ [variable]: value }).where, variable)
    })
  }

  for (const ratio of ['-0.1', '1.1', 'half']) {
    it(`refuse a sampler that keeps ${ratio} of all traces`, () => {
      const variables = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: ratio }
      assert.equal(problemOf(variables).where, 'OTEL_TRACES_SAMPLER_ARG')
    })
  }

  it('allow for gRPC what is not a URL for HTTP', () => {
    for (const endpoint of ['collector:4317', 'http://collector:4317', 'unix:///run/collector.sock']) {
      accepted({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
    }
    accepted({ OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'collector:4317' })
  })

  it('name everything that is wrong at once', () => {
    const { problems } = parseSettings({
      OTEL_METRICS_EXPORTER: 'prometeus,otpl',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'nowhere',
      OTEL_TRACES_SAMPLER: 'sometimes',
      OTEL_BSP_SCHEDULE_DELAY: 'soon',
    })
    assert.deepEqual(problems.map(problem => problem.where).sort(), [
      'OTEL_BSP_SCHEDULE_DELAY',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_METRICS_EXPORTER',
      'OTEL_METRICS_EXPORTER',
      'OTEL_TRACES_SAMPLER',
    ])
  })

  it('complain about the general protocol once, not once per signal', () => {
    assert.equal(problemOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http' }).where, 'OTEL_EXPORTER_OTLP_PROTOCOL')
  })

  it('take headers as they are sent', () => {
    accepted({
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20abc==, x-tenant = a%2Cb,',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x_y=1',
    })
  })

  it('suggest the instrumentation that is meant', () => {
    assert.equal(problemOf({ OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pino,ioredys' }).nearest, 'ioredis')
  })

  it('know every instrumentation that can be switched on', () => {
    const script =
      'const { getNodeAutoInstrumentations } = require("@opentelemetry/auto-instrumentations-node");' +
      'console.log(JSON.stringify(getNodeAutoInstrumentations({}).map(({ instrumentationName }) => instrumentationName)))'
    const env = { ...process.env, OTEL_NODE_ENABLED_INSTRUMENTATIONS: INSTRUMENTATION_NAMES.join(',') }
    const names = JSON.parse(execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' })) as string[]
    const short = names.map(name => name.replace('@opentelemetry/instrumentation-', ''))
    assert.deepEqual(short.toSorted(), [...INSTRUMENTATION_NAMES].toSorted())
  })

  it('do not repeat the values of headers, which may be secrets', () => {
    const { problem } = problemOf({ OTEL_EXPORTER_OTLP_HEADERS: 'x=1,top-secret' })
    assert.doesNotMatch(problem, /top-secret/)
    assert.match(problem, /entry 2/)
  })

  it('say nothing about a disabled SDK but that it is disabled', () => {
    const { settings, problems } = parseSettings({ OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'nonsense' })
    assert.equal(settings.disabled, true)
    assert.deepEqual(problems, [])
  })

  it('warn of a misspelled variable, and of no other stranger', () => {
    const { problems, warnings } = parseSettings({
      OTEL_TRACE_EXPORTER: 'otlp',
      OTEL_SERVICE_NAME: 'myesi-api',
      OTEL_EXPORTER_PROMETHEUS_PORT: '9464',
      OTEL_PYTHON_LOG_CORRELATION: 'true',
      OTHER_TRACES_EXPORTER: 'x',
    })
    assert.deepEqual(problems, [])
    assert.deepEqual(warnings, ['OTEL_TRACE_EXPORTER is not read by the gateway; did you mean OTEL_TRACES_EXPORTER?'])
  })

  const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT'
  for (const [what, variables, variable, says] of [
    [
      'gRPC’s port for HTTP',
      { [ENDPOINT]: 'http://collector:4317' },
      ENDPOINT,
      /4317 is usually that of OTLP over gRPC/,
    ],
    [
      'HTTP’s port for gRPC',
      { [ENDPOINT]: 'collector:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      ENDPOINT,
      /4318 is usually that of OTLP over HTTP/,
    ],
    [
      'the port of one signal',
      { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://collector:4317/v1/logs' },
      'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT',
      /4317/,
    ],
    [
      'a base that is the URL of one signal',
      { [ENDPOINT]: 'http://collector:4318/v1/traces' },
      ENDPOINT,
      /are appended/,
    ],
    ['a base with a query', { [ENDPOINT]: 'http://collector:4318/?key=very-secret' }, ENDPOINT, /has a "\?"/],
    [
      'a path for gRPC',
      { [ENDPOINT]: 'http://collector:4317/v1/traces', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      ENDPOINT,
      /has no path/,
    ],
  ] as const satisfies readonly (readonly [string, Variables, string, RegExp])[]) {
    it(`warn once of ${what}`, () => {
      const { problems, warnings } = parseSettings(variables)
      assert.deepEqual(problems, [])
      assert.equal(warnings.length, 1, warnings.join('\n'))
      assert.ok(warnings[0]!.startsWith(`${variable}: `))
      assert.match(warnings[0]!, says)
      assert.doesNotMatch(warnings[0]!, /very-secret/)
    })
  }

  it('do not warn of a receiver that is as it should be, or that nothing is sent to', () => {
    for (const variables of [
      { [ENDPOINT]: 'http://collector:4318' },
      { [ENDPOINT]: 'https://collector/prefix/' },
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector:4318/v1/traces?key=1' },
      { [ENDPOINT]: 'collector:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      { [ENDPOINT]: 'http://collector:4317', OTEL_TRACES_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' },
    ])
      assert.deepEqual(parseSettings(variables).warnings, [], JSON.stringify(variables))
  })

  it('tell where each signal goes, without credentials', () => {
    assert.deepEqual(
      accepted({
        [ENDPOINT]: 'https://user:very-secret@collector:4318/base/?key=very-secret',
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'https://logs.example/otlp?key=very-secret',
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc',
      }).receivers,
      {
        traces: 'https://collector:4318/base/v1/traces',
        logs: 'https://logs.example/otlp',
        metrics: 'collector:4318',
      },
    )
  })

  for (const [variable, value, names] of [
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote', /parentbased_traceidratio/],
    ['OTEL_TRACES_SAMPLER', 'parentbased_jaeger_remote', /parentbased_traceidratio/],
    ['OTEL_TRACES_SAMPLER', 'xray', /Collector/],
    ['OTEL_PROPAGATORS', 'tracecontext,jaeger', /b3/],
    ['OTEL_PROPAGATORS', 'ottrace', /b3multi/],
  ] as const) {
    it(`refuse ${variable}=${value} and name what to use`, () => {
      const { where, problem } = problemOf({ [variable]: value })
      assert.equal(where, variable)
      assert.match(problem, names)
    })
  }

  it('are all in docs/telemetry.md', () => {
    const asked = new Set<string>()
    const watching = new Proxy<Record<string, string | undefined>>(
      { OTEL_TRACES_SAMPLER: 'traceidratio' },
      {
        get: (variables, name: string) => {
          asked.add(name)
          return variables[name]
        },
      },
    )
    parseSettings(watching)
    assert.ok(asked.size > 50, `${asked.size} variables`)
    const documented = namesInTelemetryDocs()
    assert.deepEqual(
      [...asked].filter(name => !documented.has(name)),
      [],
    )
  })
})
