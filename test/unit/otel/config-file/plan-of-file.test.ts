import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AggregationType } from '@opentelemetry/sdk-metrics'
import { planOfFile, type FilePlan } from '../../../../otel/sdk/config-file/plan-of-file'
import { temporaryFolder } from '../../../support/temporary-folder'

const EXAMPLE = join(__dirname, '../../../../../docs/examples/otel-config.yaml')

function read(text: string, variables: Record<string, string> = {}): FilePlan {
  const path = join(temporaryFolder(), 'otel.yaml')
  writeFileSync(path, text)
  return planOfFile(path, variables)
}

function accepted(text: string, variables: Record<string, string> = {}): FilePlan {
  const file = read(`file_format: "1.0"\n${text}`, variables)
  assert.deepEqual(file.problems, [])
  return file
}

/** `otel.yaml:2:3 path` and the problem of each. */
function problems(text: string): string[] {
  return read(text).problems.map(({ where, problem }) => `${where}: ${problem}`)
}

describe('the plan of a configuration file', () => {
  it('is the example of the documentation without a problem', () => {
    const { plan, problems: found, gatewayVariables, exposition } = planOfFile(EXAMPLE, {})
    assert.deepEqual(found, [])
    assert.deepEqual(
      plan.spans.map(({ exporter }) => exporter.name === 'otlp' && [exporter.protocol, exporter.receiver]),
      [
        ['grpc', 'localhost:4317'],
        ['http/protobuf', 'http://localhost:4318/v1/traces'],
      ],
    )
    assert.deepEqual(
      plan.readers.map(({ exporter }) => exporter.name),
      ['prometheus', 'otlp'],
    )
    assert.equal(plan.logs.length, 1)
    assert.equal(plan.views.length, 2)
    assert.equal(plan.views[0]?.aggregation?.type, AggregationType.DROP)
    assert.match(String(plan.sampler), /ParentBased\{root=composite\{probability\{0\.1\}\}/)
    assert.equal(plan.spanLimits.eventCountLimit, 64)
    assert.deepEqual(gatewayVariables, {
      TRACES_SLOW_MS: '1000',
      TRACES_KEEP_PER_SECOND: '5',
      TELEMETRY_HTTP_INSTRUMENTATION: 'own',
      TELEMETRY_BODY_SIZES: 'false',
      TELEMETRY_NATIVE_HISTOGRAMS: 'false',
      OTEL_NODE_DISABLED_INSTRUMENTATIONS: '',
    })
    assert.deepEqual(exposition, { host: '127.0.0.1', port: 9464 })
  })

  it('has nothing to export where the file has no providers, and no propagator, as the schema says', () => {
    const { plan, disabled, logLevel } = accepted('')
    assert.deepEqual([plan.readers, plan.spans, plan.logs, plan.propagator], [[], [], [], null])
    assert.deepEqual([disabled, logLevel], [false, 'info'])
  })

  it('fills in variables: quoted ones stay text, others have the type that they look like', () => {
    const { plan } = accepted(
      `
resource:
  attributes:
    - name: a
      value: "\${A}"
    - name: b
      value: \${A}
    - name: c
      value: \${NO:-x}\${env:A}$\${A}
`,
      { A: '5' },
    )
    const { a, b, c } = plan.resource.attributes
    assert.deepEqual([a, b, c], ['5', 5, 'x5${A}'])
  })

  it('takes headers from both keys, and numbers meant as text', () => {
    const { plan } = accepted(`
resource: { attributes: [{ name: zone, value: 1, type: string }] }
tracer_provider:
  processors:
    - simple:
        exporter:
          otlp_http: { headers_list: "a=1,b=2", headers: [{ name: b, value: "3" }] }
`)
    const [span] = plan.spans
    assert.deepEqual(span?.exporter.name === 'otlp' && span.exporter.options.headers, { a: '1', b: '3' })
    assert.equal(span?.batches, undefined)
    assert.equal(plan.resource.attributes['zone'], '1')
  })

  it('says which variables of OpenTelemetry are ignored, and only those', () => {
    const { warnings } = accepted('log_level: ${OTEL_LOG_LEVEL}', {
      OTEL_LOG_LEVEL: 'warn',
      OTEL_CONFIG_FILE: 'x',
      OTEL_SDK_DISABLED: 'true',
      OTEL_BSP_MAX_QUEUE_SIZE: '',
      TRACES_SLOW_MS: '5',
    })
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /ignored, as the specification wants: OTEL_SDK_DISABLED\./)
  })

  it('warns of settings for instrumentations that have no effect, not of those of other languages', () => {
    assert.deepEqual(accepted('instrumentation/development: { java: { agent: {} } }').warnings, [])
    assert.match(accepted('instrumentation/development: { js: { http: {} } }').warnings[0] ?? '', /js has no effect/)
  })

  it('takes a template of version 1.2, in which variables fill lists and empty keys say nothing', () => {
    const template = `file_format: "1.2"
stability: development
resource:
  attributes_list: \${OTEL_RESOURCE_ATTRIBUTES}
attribute_limits:
  attribute_value_length_limit: \${OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT}
propagator:
  composite_list: \${OTEL_PROPAGATORS:-tracecontext,baggage}
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: \${OTEL_EXPORTER_OTLP_ENDPOINT:-http://localhost:4318}/v1/traces
            tls:
              ca_file: \${OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE}
            headers_list: \${OTEL_EXPORTER_OTLP_TRACES_HEADERS}
instrumentation:
  general:
    stability_opt_in_list: \${OTEL_SEMCONV_STABILITY_OPT_IN}
`
    const { plan, problems: found, warnings } = read(template)
    assert.deepEqual([found, warnings], [[], []])
    assert.equal(plan.spans.length, 1)
    assert.deepEqual(plan.propagator?.fields(), ['traceparent', 'tracestate', 'baggage'])
    const { warnings: withOptIn } = read(template, { OTEL_SEMCONV_STABILITY_OPT_IN: 'http' })
    assert.match(withOptIn[0] ?? '', /^instrumentation\.general has no effect/)
  })

  describe('has a composite sampler', () => {
    it('with rules', () => {
      const { plan } = accepted(`
tracer_provider:
  processors: [{ simple: { exporter: { console: } } }]
  sampler:
    composite/development:
      rule_based:
        rules:
          - { span_kinds: [server], parent: [none], sampler: { probability: { ratio: 0.25 } } }
          - sampler: { parent_threshold: { root: { always_off: } } }
`)
      assert.equal(String(plan.sampler), 'composite{rule_based{probability{0.25}, parent_threshold{root=always_off}}}')
    })
  })

  for (const [what, text, expected] of [
    ['no version', 'disabled: false', ['otel.yaml:1:1: "file_format" is missing']],
    ['a version as a number', 'file_format: 1.0', ['otel.yaml:1:1 file_format: 1 is not a version known here']],
    ['a later major version', 'file_format: "2.0"', ['otel.yaml:1:1 file_format: "2.0" is not a version known here']],
    [
      'broken YAML',
      'file_format: "1.0"\na: [',
      ['otel.yaml:2:5: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['a key twice', 'file_format: "1.0"\ndisabled: true\ndisabled: true', ['otel.yaml:3:1: Map keys must be unique']],
    [
      'what the SDK for Node has not',
      'file_format: "1.0"\nmeter_provider:\n  readers: [{ pull: { exporter: { prometheus/development: } } }]\n  exemplar_filter: always_on\n  meter_configurator/development: {}\n  view_matching_mode/development: composable',
      [
        'otel.yaml:4:3 meter_provider.exemplar_filter: "always_on" is not supported: exemplars point only at traces that are kept and can be opened',
        'otel.yaml:5:3 meter_provider.meter_configurator/development: "meter_configurator/development" is not supported: OpenTelemetry for Node does not support it',
        'otel.yaml:6:3 meter_provider.view_matching_mode/development: "view_matching_mode/development" is not supported: OpenTelemetry for Node does not support it',
      ],
    ],
    [
      'a timeout without a limit',
      'file_format: "1.0"\nlogger_provider:\n  processors:\n    - batch: { export_timeout: 0, exporter: { console: } }',
      [
        'otel.yaml:4:16 logger_provider.processors[0].batch.export_timeout: 0 (no limit) is not supported: an export without a limit could wait for ever',
      ],
    ],
    [
      'two expositions',
      'file_format: "1.0"\nmeter_provider:\n  readers:\n    - pull: { exporter: { prometheus/development: } }\n    - pull: { exporter: { prometheus/development: } }',
      ['otel.yaml:5:7 meter_provider.readers[1].pull: there is one exposition, and a reader before this one is it'],
    ],
    [
      'rules by attributes, which a span has not when it is sampled',
      'file_format: "1.0"\ntracer_provider:\n  processors: [{ simple: { exporter: { console: } } }]\n  sampler:\n    composite/development:\n      rule_based:\n        rules:\n          - { attribute_values: { key: http.route, values: [/] }, sampler: { always_on: } }',
      [
        'otel.yaml:8:15 tracer_provider.sampler.composite/development.rule_based.rules[0].attribute_values: "attribute_values" is not supported: the gateway samples before a span has attributes; telemetry.rules of gateway.yaml knows the request',
      ],
    ],
    [
      'a wrong value in what the gateway adds',
      'file_format: "1.0"\ndistribution:\n  other: { x: 1 }\n  myesi-gateway: { kept_traces: { slow_ms: 0 }, instrumentations: { enabled: [redis5] } }',
      [
        'otel.yaml:4:35 distribution.myesi-gateway.kept_traces.slow_ms: 0 is not a whole number in its range',
        'otel.yaml:4:69 distribution.myesi-gateway.instrumentations.enabled: "redis5" is not known',
      ],
    ],
  ] as const) {
    it(`refuses ${what}, with the place`, () => assert.deepEqual(problems(text), expected))
  }

  it('refuses a file that does not exist', () => {
    const [problem] = planOfFile('/nowhere/otel.yaml', {}).problems
    assert.equal(problem?.where, 'OTEL_CONFIG_FILE')
    assert.match(problem.problem, /"\/nowhere\/otel\.yaml" cannot be read: ENOENT/)
  })

  it('never repeats the value of a header', () => {
    const said = JSON.stringify(
      problems(
        'file_format: "1.0"\ntracer_provider:\n  processors:\n    - simple: { exporter: { otlp_http: { headers: [{ name: "a b", value: secret }] } } }',
      ),
    )
    assert.match(said, /header 1/)
    assert.ok(!said.includes('secret'))
  })
})
