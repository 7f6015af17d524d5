import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSettings } from '../../../otel/sdk/settings'
import { spanLimits } from '../../../otel/sdk/spans/span-limits'
import { namesInTelemetryDocs } from '../../support/documented-names'

const SIGNALS = ['', 'TRACES_', 'METRICS_', 'LOGS_']
const OF_RECEIVERS = [
  'ENDPOINT',
  'INSECURE',
  'CERTIFICATE',
  'CLIENT_KEY',
  'CLIENT_CERTIFICATE',
  'HEADERS',
  'COMPRESSION',
  'TIMEOUT',
  'PROTOCOL',
]

/**
 * The variables of the OpenTelemetry specification 1.60: "Environment Variable Specification", "OpenTelemetry Protocol
 * Exporter", "Metrics Exporter - OTLP" and "Declarative configuration". Those of single languages are not in it.
 */
const STANDARD = [
  'OTEL_SDK_DISABLED',
  'OTEL_ENTITIES',
  'OTEL_RESOURCE_ATTRIBUTES',
  'OTEL_SERVICE_NAME',
  'OTEL_LOG_LEVEL',
  'OTEL_PROPAGATORS',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_BSP_EXPORT_TIMEOUT',
  'OTEL_BSP_MAX_QUEUE_SIZE',
  'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
  'OTEL_BLRP_SCHEDULE_DELAY',
  'OTEL_BLRP_EXPORT_TIMEOUT',
  'OTEL_BLRP_MAX_QUEUE_SIZE',
  'OTEL_BLRP_MAX_EXPORT_BATCH_SIZE',
  'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  'OTEL_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_SPAN_EVENT_COUNT_LIMIT',
  'OTEL_SPAN_LINK_COUNT_LIMIT',
  'OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_LINK_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT',
  'OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT',
  'OTEL_EXPORTER_ZIPKIN_ENDPOINT',
  'OTEL_EXPORTER_ZIPKIN_TIMEOUT',
  // Reserved for later in the specification.
  'OTEL_EXPORTER_ZIPKIN_PROTOCOL',
  'OTEL_EXPORTER_PROMETHEUS_HOST',
  'OTEL_EXPORTER_PROMETHEUS_PORT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_METRICS_EXPORTER',
  'OTEL_LOGS_EXPORTER',
  'OTEL_METRICS_EXEMPLAR_FILTER',
  'OTEL_METRIC_EXPORT_INTERVAL',
  'OTEL_METRIC_EXPORT_TIMEOUT',
  'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
  'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION',
  'OTEL_CONFIG_FILE',
  'OTEL_SEMCONV_STABILITY_OPT_IN',
  ...SIGNALS.flatMap(signal => OF_RECEIVERS.map(name => `OTEL_EXPORTER_OTLP_${signal}${name}`)),
]

/** Read elsewhere: by src/config, by the SDK's resource detector, or before the other variables. */
const READ_ELSEWHERE: ReadonlySet<string> = new Set([
  'OTEL_SERVICE_NAME',
  'OTEL_EXPORTER_PROMETHEUS_HOST',
  'OTEL_EXPORTER_PROMETHEUS_PORT',
  'OTEL_CONFIG_FILE',
])

/** Compiled, this file is dist/test/unit/otel/standard-variables.test.js. */
const PACKAGES = join(__dirname, '../../../../node_modules/@opentelemetry')

/** The variables that the code of the installed packages of OpenTelemetry names. */
function readByPackages(): string[] {
  const names = new Set<string>()
  for (const file of globSync('*/{dist,build}/**/*.{js,cjs,mjs}', { cwd: PACKAGES })) {
    const code = readFileSync(join(PACKAGES, file), 'utf8')
    for (const [, start = '', place, end = ''] of code.matchAll(
      /['"`](OTEL_[A-Z0-9_]*)(?:(\$\{\w+\})([A-Z0-9_]*))?['"`]/g,
    )) {
      if (place === undefined) names.add(start)
      else for (const signal of SIGNALS.filter(each => each !== '')) names.add(`${start}${signal.slice(0, -1)}${end}`)
    }
  }
  return [...names].filter(name => !name.endsWith('_')).sort()
}

describe('each standard variable of OpenTelemetry', () => {
  const asked = new Set<string>()
  before(() => {
    const watching = { get: (variables: object, name: string) => (asked.add(name), Reflect.get(variables, name)) }
    parseSettings(new Proxy({ OTEL_TRACES_SAMPLER: 'traceidratio' }, watching) as never)
  })

  function isHonouredOrNamed(name: string): void {
    if (asked.has(name) || READ_ELSEWHERE.has(name)) return
    const { warnings } = parseSettings({ [name]: 'value' })
    assert.equal(warnings.length, 1, name)
    assert.match(warnings[0] ?? '', new RegExp(`^${name} has no effect: \\w.{10,}`))
  }

  for (const name of STANDARD) {
    it(`is honoured, or named at start with the reason: ${name}`, () => isHonouredOrNamed(name))
  }

  it('is honoured, or named at start with the reason, if an installed package reads it', () => {
    const names = readByPackages()
    // Some that stand in the code as one word, and some that it puts together.
    for (const known of ['OTEL_SERVICE_NAME', 'OTEL_NODE_RESOURCE_DETECTORS', 'OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY'])
      assert.ok(names.includes(known), known)
    assert.ok(names.length > 60, `${names.length}`)
    names.forEach(isHonouredOrNamed)
    const documented = namesInTelemetryDocs()
    const isDocumented = (name: string): boolean =>
      documented.has(name) || (name.startsWith('OTEL_INSTRUMENTATION_') && documented.has('OTEL_INSTRUMENTATION_*'))
    assert.deepEqual(
      names.filter(name => !isDocumented(name)),
      [],
    )
  })

  it('takes the names of the specification in any case', () => {
    const { settings, problems } = parseSettings({
      OTEL_TRACES_EXPORTER: 'OTLP',
      OTEL_METRICS_EXPORTER: 'Prometheus,Console',
      OTEL_LOGS_EXPORTER: 'None',
      OTEL_PROPAGATORS: 'TraceContext,B3',
      OTEL_TRACES_SAMPLER: 'PARENTBASED_TRACEIDRATIO',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'HTTP/JSON',
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'GRPC',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'GZIP',
    })
    assert.deepEqual(problems, [])
    assert.deepEqual(settings.exporters, { traces: ['otlp'], metrics: ['prometheus', 'console'], logs: [] })
    assert.deepEqual(settings.propagators, ['tracecontext', 'b3'])
    assert.deepEqual(settings.sampler, { name: 'parentbased_traceidratio', ratio: 0.5 })
    assert.deepEqual(settings.protocols, { traces: 'http/json', metrics: 'http/json', logs: 'grpc' })
  })

  it('is in docs/telemetry.md', () => {
    const documented = namesInTelemetryDocs()
    assert.deepEqual(
      STANDARD.filter(name => !documented.has(name)),
      [],
    )
  })

  it('has its name of the specification where the SDK for Node has another one', () => {
    const limits = spanLimits({ OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '3', OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '4' })
    assert.deepEqual([limits.attributePerEventCountLimit, limits.attributePerLinkCountLimit], [3, 4])
  })
})

describe('other variables that begin with OTEL_', () => {
  it('are named together, those of the past with the reason, those with a typing mistake with the right name, those of other languages not at all', () => {
    const { warnings } = parseSettings({
      OTEL_EXPORTER_JAEGER_AGENT_HOST: 'jaeger',
      OTEL_EXPERIMENTAL_CONFIG_FILE: 'otel.yaml',
      OTEL_TRACE_EXPORTER: 'otlp',
      OTEL_PHP_AUTOLOAD_ENABLED: 'true',
      OTEL_JAVAAGENT_DEBUG: 'true',
      OTEL_MADE_UP: '1',
      OTEL_ANOTHER_ONE: '1',
      OTEL_DOTNET_AUTO_HOME: '',
    })
    assert.deepEqual(warnings, [
      'OTEL_EXPORTER_JAEGER_AGENT_HOST has no effect: the Jaeger exporters are gone; Jaeger takes OTLP: OTEL_TRACES_EXPORTER=otlp',
      'OTEL_EXPERIMENTAL_CONFIG_FILE has no effect: its name is OTEL_CONFIG_FILE now',
      'OTEL_TRACE_EXPORTER is not read by the gateway; did you mean OTEL_TRACES_EXPORTER?',
      'not read by the gateway: OTEL_ANOTHER_ONE, OTEL_MADE_UP',
    ])
  })

  for (const [exporter, reason] of [
    ['zipkin', /Zipkin takes OTLP/],
    ['jaeger', /Jaeger takes OTLP/],
    ['logging', /console/],
    ['otlp/stdout', /console/],
  ] as const) {
    it(`refuse the exporter ${exporter} with the reason`, () => {
      const { problems } = parseSettings({ OTEL_TRACES_EXPORTER: exporter })
      assert.equal(problems.length, 1)
      assert.match(problems[0]?.problem ?? '', reason)
    })
  }
})
