import type { Attributes } from '@opentelemetry/api'
import {
  AggregationType,
  InstrumentType,
  type AggregationOption,
  type IAttributesProcessor,
  type ViewOptions,
} from '@opentelemetry/sdk-metrics'
import { matcher } from '../wildcards'
import type { Section } from './section'

const INSTRUMENT_TYPES: Readonly<Record<string, InstrumentType>> = {
  counter: InstrumentType.COUNTER,
  gauge: InstrumentType.GAUGE,
  histogram: InstrumentType.HISTOGRAM,
  observable_counter: InstrumentType.OBSERVABLE_COUNTER,
  observable_gauge: InstrumentType.OBSERVABLE_GAUGE,
  observable_up_down_counter: InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
  up_down_counter: InstrumentType.UP_DOWN_COUNTER,
}

export function viewIn(view: Section): ViewOptions {
  const selector = view.section('selector')
  const stream = view.section('stream')
  if (selector === undefined || selector.keys.length === 0)
    view.complain([], 'a view without a selector would change every metric', 'selector: { instrument_name: … }')
  const options: ViewOptions = {
    ...(selector && selectorIn(selector)),
    ...(stream && streamIn(stream)),
  }
  if (options.name !== undefined && /[*?]/.test(options.instrumentName ?? '*'))
    stream?.complain(['name'], 'a new name needs a selector of one instrument, without wildcards')
  selector?.done()
  stream?.done()
  view.done()
  return options
}

function selectorIn(selector: Section): Partial<ViewOptions> {
  const type = selector.oneOf('instrument_type', Object.keys(INSTRUMENT_TYPES))
  return defined({
    instrumentName: selector.text('instrument_name'),
    instrumentType: type === undefined ? undefined : INSTRUMENT_TYPES[type],
    instrumentUnit: selector.text('unit'),
    meterName: selector.text('meter_name'),
    meterVersion: selector.text('meter_version'),
    meterSchemaUrl: selector.text('meter_schema_url'),
  })
}

function streamIn(stream: Section): Partial<ViewOptions> {
  const aggregation = stream.section('aggregation')
  const keys = stream.section('attribute_keys')
  const included = keys?.texts('included')
  const excluded = keys?.texts('excluded')
  keys?.done()
  return defined({
    name: stream.text('name'),
    description: stream.text('description'),
    aggregation: aggregation && aggregationIn(aggregation),
    aggregationCardinalityLimit: stream.number('aggregation_cardinality_limit', { min: 1 }),
    attributesProcessors: keys && [keepOnly(matcher(included) ?? (() => true), matcher(excluded) ?? (() => false))],
  })
}

function aggregationIn(section: Section): AggregationOption | undefined {
  const found = section.variant([
    'default',
    'drop',
    'explicit_bucket_histogram',
    'base2_exponential_bucket_histogram',
    'last_value',
    'sum',
  ])
  if (found === undefined) return undefined
  const { name, section: settings } = found
  const aggregation = ((): AggregationOption => {
    switch (name) {
      case 'drop':
        return { type: AggregationType.DROP }
      case 'last_value':
        return { type: AggregationType.LAST_VALUE }
      case 'sum':
        return { type: AggregationType.SUM }
      case 'explicit_bucket_histogram': {
        const boundaries = settings.numbers('boundaries')
        const recordMinMax = settings.boolean('record_min_max') ?? true
        if (boundaries?.some((bound, index) => index > 0 && bound <= (boundaries[index - 1] ?? 0)))
          settings.complain(['boundaries'], 'each boundary must be larger than the one before')
        return {
          type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
          options: { recordMinMax, boundaries: [...(boundaries ?? DEFAULT_BOUNDARIES)] },
        }
      }
      case 'base2_exponential_bucket_histogram': {
        const maxSize = settings.number('max_size', { min: 2, max: 10_000 })
        const recordMinMax = settings.boolean('record_min_max') ?? true
        settings.refuse('max_scale', 'the SDK for Node always begins with scale 20')
        return {
          type: AggregationType.EXPONENTIAL_HISTOGRAM,
          options: { recordMinMax, ...(maxSize !== undefined && { maxSize }) },
        }
      }
      default:
        return { type: AggregationType.DEFAULT }
    }
  })()
  settings.done()
  return aggregation
}

/** Default boundaries of the specification. */
const DEFAULT_BOUNDARIES = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000]

/** The SDK's own filters take no wildcards, which the schema has. */
function keepOnly(included: (name: string) => boolean, excluded: (name: string) => boolean): IAttributesProcessor {
  return {
    process: (attributes: Attributes) =>
      Object.fromEntries(Object.entries(attributes).filter(([name]) => included(name) && !excluded(name))),
  }
}

function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>
  }
}
