import {
  createConfigFactory,
  mergePropagatorCompositeConfig,
  mergeResourceAttributesConfig,
} from '@opentelemetry/configuration'
import { detectResources, resourceFromAttributes, type Resource } from '@opentelemetry/resources'
import { AlwaysOnSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace'
import type { ConsolePlan, OtlpPlan, ProcessorPlan, ReaderPlan, TelemetryPlan } from '../plan'
import { createPropagator } from '../propagation/propagators'
import { namedDetectors, ourselves } from '../resource'
import type { BatchSettings, LogLevel, PropagatorName } from '../settings'
import { DEFAULT_SPAN_LIMITS } from '../spans/span-limits'
import type { TelemetryProblem } from '../telemetry'
import { matcher } from '../wildcards'
import { withOnly } from '../with-variables'
import { ConfigDocument } from './document'
import { GATEWAY_KEY, gatewayVariables } from './distribution'
import { exporterIn, timeoutIn, type FileSignal } from './otlp-exporters'
import { samplerIn } from './samplers'
import { Section } from './section'
import { viewIn } from './views'

type Variables = Readonly<Record<string, string | undefined>>

export interface FilePlan {
  readonly plan: TelemetryPlan
  readonly disabled: boolean
  readonly logLevel: LogLevel
  /** Variables of the gateway that the file sets in its own words (`distribution`). */
  readonly gatewayVariables: Readonly<Record<string, string>>
  /** Limits of log records, which the SDK takes from variables only. */
  readonly logVariables: Readonly<Record<string, string>>
  /** Address of the Prometheus exporter, for the ops port. */
  readonly exposition: { readonly host: string | undefined; readonly port: number | undefined } | undefined
  readonly problems: readonly TelemetryProblem[]
  readonly warnings: readonly string[]
}

const FORMATS = ['1.0', '1.1', '1.2']
const UNSUPPORTED = 'OpenTelemetry for Node does not support it'

/** Reads the file of `OTEL_CONFIG_FILE`: https://opentelemetry.io/docs/specs/otel/configuration/ */
export function planOfFile(path: string, variables: Variables): FilePlan {
  const document = new ConfigDocument(path, variables)
  const root = new Section(document, [], document.value)
  const warnings: string[] = []
  if (document.problems.length === 0) checkFormat(root)
  const disabled = root.boolean('disabled') ?? false
  const logLevel = logLevelIn(root)
  const gatewaySection = root.section('distribution')?.section(GATEWAY_KEY)
  const ofGateway = gatewaySection === undefined ? {} : gatewayVariables(gatewaySection)
  const attributeLimits = limitsIn(root.section('attribute_limits'))
  const tracing = tracingIn(root.section('tracer_provider'), attributeLimits)
  const metrics = metricsIn(root.section('meter_provider'))
  const logging = loggingIn(root.section('logger_provider'), attributeLimits)
  const baggageKeys = (ofGateway['TELEMETRY_BAGGAGE_KEYS'] ?? variables['TELEMETRY_BAGGAGE_KEYS'])
    ?.split(',')
    .map(key => key.trim())
    .filter(Boolean)
  const plan: TelemetryPlan = {
    resource: resourceIn(root.section('resource'), variables),
    propagator: createPropagator(
      propagatorsIn(root.section('propagator')),
      baggageKeys?.length ? baggageKeys : undefined,
    ),
    ...tracing,
    ...metrics.plan,
    logs: logging.logs,
  }
  // Of 1.2: what a file may use. Here nothing depends on it, as every key is honoured or refused.
  root.oneOf('stability', ['stable', 'development'])
  checkInstrumentation(root, warnings)
  root.done()
  const { problems } = document
  if (problems.length === 0) checkBySchema(path, variables, document)
  problems.sort((a, b) => lineOf(a) - lineOf(b))
  const ignored = Object.keys(variables).filter(
    name =>
      name.startsWith('OTEL_') &&
      name !== 'OTEL_CONFIG_FILE' &&
      variables[name]?.trim() &&
      !document.substituted.has(name),
  )
  if (ignored.length > 0) {
    warnings.push(
      `OTEL_CONFIG_FILE is set, so that these variables are ignored, as the specification wants: ${ignored.sort().join(', ')}. A variable counts where the file names it: \${NAME}`,
    )
  }
  return {
    plan,
    disabled,
    logLevel,
    gatewayVariables: ofGateway,
    logVariables: logging.variables,
    exposition: metrics.exposition,
    problems,
    warnings,
  }
}

function lineOf({ where }: TelemetryProblem): number {
  return Number(/:(\d+):\d+/.exec(where)?.[1] ?? 0)
}

function checkFormat(root: Section): void {
  const format = root.accept('file_format')
  if (typeof format === 'string' && FORMATS.includes(format)) return
  const hint = typeof format === 'number' && FORMATS.includes(format.toFixed(1)) ? `"${format.toFixed(1)}"` : undefined
  const problem = root.has('file_format')
    ? `${JSON.stringify(format)} is not a version known here`
    : '"file_format" is missing'
  root.complain(
    root.has('file_format') ? ['file_format'] : [],
    problem,
    FORMATS.map(known => `"${known}"`).join(', '),
    hint,
  )
}

/** The published schema as a second opinion: what it refuses, other SDKs would refuse too. */
function checkBySchema(path: string, variables: Variables, document: ConfigDocument): void {
  try {
    withOnly({ ...variables, OTEL_CONFIG_FILE: path }, () => createConfigFactory().getConfigModel())
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const said = message.split(`${path}: `).at(-1) ?? message
    const [, at = '', problem = said] = /^(\/\S*) ([^\n]+)$/.exec(said) ?? []
    const steps = at
      .split('/')
      .filter(Boolean)
      .map(step => (/^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~')))
    document.complain(steps, { problem: `the schema of OpenTelemetry's configuration refuses it: ${problem}` })
  }
}

const LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: 'verbose',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'error',
}

function logLevelIn(root: Section): LogLevel {
  const allowed = Object.keys(LEVELS).flatMap(level => [level, ...['2', '3', '4'].map(step => `${level}${step}`)])
  const level = root.oneOf('log_level', allowed)
  return LEVELS[level?.replace(/\d$/, '') ?? 'info'] ?? 'info'
}

/** Detectors by their names in the schema, and those of clouds, which the schema leaves to each SDK. */
const DETECTORS: Readonly<Record<string, string>> = {
  container: 'container',
  host: 'host,os',
  process: 'process',
  service: 'serviceinstance',
  alibaba: 'alibaba',
  aws: 'aws',
  azure: 'azure',
  gcp: 'gcp',
}

function resourceIn(section: Section | undefined, variables: Variables): Resource {
  let resource = ourselves()
  if (section === undefined) return resource
  const detection = section.section('detection/development')
  if (detection !== undefined) resource = resource.merge(detectedIn(detection, variables))
  const attributes = section.sections('attributes').map(attribute => {
    const name = attribute.text('name')
    const value = attribute.attribute('value')
    const type = attribute.text('type')
    if (name === undefined) attribute.complain([], 'an attribute has a name', '{ name: service.name, value: shop }')
    attribute.done()
    // A number without quotes can still be meant as text.
    return { name: name ?? '', value: type === 'string' && value !== undefined ? String(value) : (value ?? null) }
  })
  const list = section.text('attributes_list')
  const merged = mergeResourceAttributesConfig(attributes as never, list ?? null) ?? []
  const schemaUrl = section.text('schema_url')
  section.done()
  const set = merged.filter(({ value }) => value !== null).map(({ name, value }) => [name, value as string] as const)
  return resource.merge(
    resourceFromAttributes(Object.fromEntries(set), schemaUrl === undefined ? undefined : { schemaUrl }),
  )
}

function detectedIn(detection: Section, variables: Variables): Resource {
  const names = detection.sections('detectors').flatMap(detector => {
    const found = detector.variant(Object.keys(DETECTORS))
    found?.section.done()
    return found === undefined ? [] : [DETECTORS[found.name] as string]
  })
  const filter = detection.section('attributes')
  const included = matcher(filter?.texts('included'))
  const excluded = matcher(filter?.texts('excluded'))
  filter?.done()
  detection.done()
  if (names.length === 0) return resourceFromAttributes({})
  const detectors = withOnly({ ...variables, OTEL_NODE_RESOURCE_DETECTORS: names.join(',') }, namedDetectors)
  const isWanted = (name: string): boolean => (included?.(name) ?? true) && !(excluded?.(name) ?? false)
  return detectResources({
    detectors: detectors.map(detector => ({
      detect: config => {
        const { attributes = {}, ...others } = detector.detect(config)
        return {
          ...others,
          attributes: Object.fromEntries(Object.entries(attributes).filter(([name]) => isWanted(name))),
        }
      },
    })),
  })
}

const PROPAGATORS = ['tracecontext', 'baggage', 'b3', 'b3multi', 'xray', 'none']

function propagatorsIn(section: Section | undefined): readonly PropagatorName[] {
  if (section === undefined) return []
  const written = section.sections('composite').flatMap(entry => {
    const found = entry.variant(PROPAGATORS)
    found?.section.done()
    return found === undefined ? [] : [{ [found.name]: null }]
  })
  const list = section.text('composite_list') ?? ''
  const unknown = list
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '' && !PROPAGATORS.includes(name))
  if (unknown.length > 0)
    section.complain(['composite_list'], `"${unknown.join('", "')}" is not known`, PROPAGATORS.join(', '))
  section.done()
  const merged = mergePropagatorCompositeConfig(written, list) ?? []
  return merged
    .flatMap(entry => Object.keys(entry))
    .filter((name): name is PropagatorName => PROPAGATORS.includes(name))
}

interface AttributeLimits {
  readonly length: number | undefined
  readonly count: number | undefined
}

function limitsIn(section: Section | undefined, isWhole = true): AttributeLimits {
  const length = section?.number('attribute_value_length_limit', { min: 0 })
  const count = section?.number('attribute_count_limit', { min: 0 })
  if (isWhole) section?.done()
  return { length, count }
}

function tracingIn(
  section: Section | undefined,
  general: AttributeLimits,
): Pick<TelemetryPlan, 'sampler' | 'spanLimits' | 'spans'> {
  const limits = section?.section('limits')
  const own = limitsIn(limits, false)
  const length = own.length ?? general.length
  const count = own.count ?? general.count
  const given = {
    attributeValueLengthLimit: length,
    attributeCountLimit: count,
    eventCountLimit: limits?.number('event_count_limit', { min: 0 }),
    linkCountLimit: limits?.number('link_count_limit', { min: 0 }),
    attributePerEventCountLimit: limits?.number('event_attribute_count_limit', { min: 0 }),
    attributePerLinkCountLimit: limits?.number('link_attribute_count_limit', { min: 0 }),
  }
  limits?.done()
  const spanLimits = { ...DEFAULT_SPAN_LIMITS, ...withoutUndefined(given) }
  if (section === undefined)
    return { sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }), spanLimits, spans: [] }
  const generator = section.section('id_generator')?.variant(['random'])
  generator?.section.done()
  section.refuse('tracer_configurator/development', UNSUPPORTED)
  const plan = { sampler: samplerIn(section.section('sampler')), spanLimits, spans: processorsIn(section, 'traces') }
  section.done()
  return plan
}

function processorsIn(section: Section, signal: FileSignal): readonly ProcessorPlan[] {
  if (!section.has('processors'))
    section.complain([], '"processors" is missing', 'processors: [{ batch: { exporter: … } }]')
  const refused = { 'event_to_span_event_bridge/development': UNSUPPORTED }
  return section.sections('processors').flatMap(entry => {
    const found = entry.variant(['batch', 'simple'], refused)
    if (found === undefined) return []
    const { name, section: settings } = found
    const exporter = exporterIn(settings, signal)
    const batches = name === 'batch' ? batchesIn(settings) : undefined
    settings.done()
    return exporter === undefined ? [] : [{ exporter, batches }]
  })
}

function batchesIn(settings: Section): BatchSettings {
  const found = {
    scheduledDelayMillis: settings.number('schedule_delay', { min: 0 }),
    exportTimeoutMillis: timeoutIn(settings, 'export_timeout'),
    maxQueueSize: settings.number('max_queue_size', { min: 1 }),
    maxExportBatchSize: settings.number('max_export_batch_size', { min: 1 }),
  }
  const { maxQueueSize = 2_048, maxExportBatchSize = 512 } = found
  if (maxExportBatchSize > maxQueueSize)
    settings.complain(
      ['max_export_batch_size'],
      `${maxExportBatchSize} is more than the queue holds`,
      `at most ${maxQueueSize}`,
    )
  return withoutUndefined(found)
}

interface Metrics {
  readonly plan: Pick<TelemetryPlan, 'readers' | 'views' | 'hasExemplars'>
  readonly exposition: FilePlan['exposition']
}

function metricsIn(section: Section | undefined): Metrics {
  if (section === undefined) return { plan: { readers: [], views: [], hasExemplars: true }, exposition: undefined }
  if (!section.has('readers')) section.complain([], '"readers" is missing', 'readers: [{ periodic: { exporter: … } }]')
  let exposition: FilePlan['exposition']
  const readers = section.sections('readers').flatMap((entry): ReaderPlan[] => {
    const found = entry.variant(['periodic', 'pull'])
    if (found === undefined) return []
    const { name, section: settings } = found
    if (settings.sections('producers').length > 0)
      settings.complain(['producers'], 'OpenTelemetry for Node has no producers of metrics')
    const plan = name === 'pull' ? undefined : periodicIn(settings)
    if (name === 'pull') {
      const address = prometheusIn(settings)
      if (exposition !== undefined) settings.complain([], 'there is one exposition, and a reader before this one is it')
      exposition = address
    }
    settings.done()
    if (name === 'pull') return [{ exporter: { name: 'prometheus' } }]
    return plan === undefined ? [] : [plan]
  })
  const views = section.sections('views').map(viewIn)
  const filter = section.oneOf('exemplar_filter', ['trace_based', 'always_off', 'always_on'])
  if (filter === 'always_on')
    section.complain(
      ['exemplar_filter'],
      '"always_on" is not supported: exemplars point only at traces that are kept and can be opened',
      'trace_based, always_off',
    )
  section.refuse('meter_configurator/development', UNSUPPORTED)
  section.refuse('view_matching_mode/development', UNSUPPORTED)
  section.done()
  return { plan: { readers, views, hasExemplars: filter !== 'always_off' }, exposition }
}

function periodicIn(settings: Section): ReaderPlan | undefined {
  const exporter: ConsolePlan | OtlpPlan | undefined = exporterIn(settings, 'metrics')
  const intervalMs = settings.number('interval', { min: 1 }) ?? 60_000
  const timeoutMs = timeoutIn(settings, 'timeout')
  if (timeoutMs !== undefined && timeoutMs > intervalMs)
    settings.complain(['timeout'], `${timeoutMs} ms is longer than the interval`, `at most ${intervalMs}`)
  settings.refuse('max_export_batch_size/development', 'a batch is one collection')
  const cardinality = settings.section('cardinality_limits')
  const limits = cardinality && cardinalityIn(cardinality)
  return (
    exporter && {
      exporter,
      intervalMs,
      timeoutMs: Math.min(timeoutMs ?? 30_000, intervalMs),
      ...(limits && { cardinalityLimits: limits }),
    }
  )
}

function cardinalityIn(section: Section): Readonly<Record<string, number>> {
  const limits = {
    default: section.number('default', { min: 1 }),
    counter: section.number('counter', { min: 1 }),
    gauge: section.number('gauge', { min: 1 }),
    histogram: section.number('histogram', { min: 1 }),
    observableCounter: section.number('observable_counter', { min: 1 }),
    observableGauge: section.number('observable_gauge', { min: 1 }),
    observableUpDownCounter: section.number('observable_up_down_counter', { min: 1 }),
    upDownCounter: section.number('up_down_counter', { min: 1 }),
  }
  section.done()
  return withoutUndefined(limits)
}

function prometheusIn(settings: Section): NonNullable<FilePlan['exposition']> {
  settings.refuse('cardinality_limits', 'series of /metrics are bounded by the configuration (npm run budget)')
  const exporter = settings.section('exporter')
  if (exporter === undefined) settings.complain([], '"exporter" is missing', 'exporter: { prometheus/development: }')
  const found = exporter?.variant(['prometheus/development'])
  if (found === undefined) return { host: undefined, port: undefined }
  const { section } = found
  const address = { host: section.text('host'), port: section.number('port', { min: 0, max: 65_535 }) }
  for (const key of ['scope_info_enabled', 'target_info_enabled/development']) {
    if (section.boolean(key) === false)
      section.complain([key], 'rules and dashboards need these labels, so that they cannot be left out', 'true')
  }
  section.oneOf('translation_strategy', ['underscore_escaping_with_suffixes'])
  section.refuse('resource_constant_labels', 'the resource is in target_info')
  section.done()
  return address
}

function loggingIn(
  section: Section | undefined,
  general: AttributeLimits,
): { readonly logs: readonly ProcessorPlan[]; readonly variables: Readonly<Record<string, string>> } {
  const limits = section?.section('limits')
  const own = limitsIn(limits)
  const count = own.count ?? general.count
  const length = own.length ?? general.length
  const variables = {
    ...(count !== undefined && { OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: String(count) }),
    ...(length !== undefined && { OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: String(length) }),
  }
  if (section === undefined) return { logs: [], variables }
  section.refuse('logger_configurator/development', UNSUPPORTED)
  const logs = processorsIn(section, 'logs')
  section.done()
  return { logs, variables }
}

/** Settings of instrumentations in this and other languages: one file may serve several services. */
function checkInstrumentation(root: Section, warnings: string[]): void {
  for (const key of ['instrumentation', 'instrumentation/development']) {
    const section = root.section(key)
    // The templates have a list there that a variable fills, and that says nothing where it is not set.
    const general = section?.section('general')
    const isEmpty = general?.keys.every(name => (general.accept(name) ?? '') === '')
    const unused = section?.keys.filter(name => (name === 'general' && !isEmpty) || name === 'js') ?? []
    if (unused.length > 0)
      warnings.push(
        `${key}.${unused.join(', ')} has no effect: the instrumentations of the gateway are set under distribution.${GATEWAY_KEY}`,
      )
  }
}

function withoutUndefined<T extends object>(values: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>
  }
}
