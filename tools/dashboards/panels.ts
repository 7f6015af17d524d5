import {
  BigValueColorMode,
  BigValueGraphMode,
  FieldTextAlignment,
  GraphGradientMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellHeight,
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
  type DataSourceRef,
} from '@grafana/grafana-foundation-sdk/common'
import {
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  SpecialValueMatch,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type DataTransformerConfig,
  type DynamicConfigValue,
  type Threshold,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat, QueryEditorMode } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stats from '@grafana/grafana-foundation-sdk/stat'
import * as timelines from '@grafana/grafana-foundation-sdk/statetimeline'
import * as tables from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

/** The Prometheus that the reader chose at the top of the dashboard. */
export const SOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' }

export type AnyPanel =
  heatmap.PanelBuilder | stats.PanelBuilder | tables.PanelBuilder | timelines.PanelBuilder | timeseries.PanelBuilder

/** What every panel says about itself. */
interface Text {
  readonly title: string
  readonly description: string
  readonly unit: string
  /** Of 24 columns. */
  readonly width: number
  readonly decimals?: number
  /** Shown where the query returns nothing. */
  readonly noValue?: string
}

/** A color, and from which value on; the first one from the lowest value on. */
export type Steps = readonly [color: string, ...rest: (readonly [from: number, color: string])[]]

interface StatOptions extends Text {
  readonly expr: string
  readonly steps?: Steps
  /** Draws the course behind the number. */
  readonly graph?: boolean
  readonly mappings?: ValueMapping[]
}

interface SeriesOptions extends Text {
  /** Expressions by their legend. */
  readonly series: Readonly<Record<string, string>>
  readonly stacked?: StackingMode.Normal | StackingMode.Percent
  readonly colors?: Readonly<Record<string, string>>
  /** Dashed lines. */
  readonly steps?: Steps
  /** Draws single requests, each a link to its trace. Default: wherever durations of requests are shown by route. */
  readonly exemplars?: boolean
  readonly max?: number
  /** Default: 0. `null`: as low as the values are. */
  readonly min?: number | null
  readonly lineInterpolation?: LineInterpolation
}

interface TimelineOptions extends Text {
  readonly expr: string
  readonly legend: string
  /** Text and color of each value. */
  readonly states: Readonly<Record<string, readonly [text: string, color: string]>>
  readonly steps: Steps
}

interface TableOptions extends Text {
  /** Expressions; the n-th value is the column `Value #A`, `Value #B` and so on, or `Value` where there is one. */
  readonly exprs: readonly string[]
  /** New names of the columns, in their order. Others are hidden. */
  readonly columns: Readonly<Record<string, string>>
  readonly sortBy: string
  readonly descending?: boolean
  readonly height?: number
  readonly cells?: Readonly<Record<string, DynamicConfigValue[]>>
}

const NO_TRAFFIC: ValueMapping[] = [
  {
    type: MappingType.SpecialValue,
    options: { match: SpecialValueMatch.NotANumber, result: { text: 'no traffic', color: 'text' } },
  },
]

/** One number. */
export function stat({ expr, steps = ['blue'], graph = true, mappings = [], ...text }: StatOptions): AnyPanel {
  const panel = new stats.PanelBuilder()
    .height(4)
    .colorMode(BigValueColorMode.Value)
    .graphMode(graph ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .thresholds(thresholds(steps))
    .mappings([...mappings, ...NO_TRAFFIC])
    .withTarget(query('A', expr, '__auto'))
  return described(panel, text)
}

/** Lines over time, or areas on top of each other. */
export function lines(options: SeriesOptions): AnyPanel {
  const { series, stacked, colors = {}, steps, exemplars, max, min = 0, lineInterpolation, ...text } = options
  const panel = new timeseries.PanelBuilder()
    .height(8)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic))
    .lineInterpolation(lineInterpolation ?? LineInterpolation.Smooth)
    .lineWidth(stacked ? 1 : 2)
    .fillOpacity(stacked ? 40 : 10)
    .gradientMode(stacked ? GraphGradientMode.None : GraphGradientMode.Opacity)
    .showPoints(VisibilityMode.Never)
    .spanNulls(false)
    .stacking(new StackingConfigBuilder().mode(stacked ?? StackingMode.None).group('A'))
  if (min !== null) panel.min(min).axisSoftMin(min)
  if (max !== undefined) panel.max(max)
  if (steps !== undefined) {
    panel
      .thresholds(thresholds(steps))
      .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
  }
  for (const [name, color] of Object.entries(colors)) panel.overrideByName(name, [fixedColor(color)])
  for (const [index, [legend, expr]] of Object.entries(series).entries()) {
    const target = query(letter(index), expr, legend)
    panel.withTarget(exemplars === true || hasExemplars(expr) ? target.exemplar(true) : target)
  }
  return described(panel, text)
}

/** How many requests took how long. */
export function durations({ expr, ...text }: Text & { readonly expr: string }): AnyPanel {
  const panel = new heatmap.PanelBuilder()
    .height(8)
    .calculate(false)
    .cellGap(1)
    .color(
      new heatmap.HeatmapColorOptionsBuilder()
        .mode(heatmap.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .scale(heatmap.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .fill('dark-orange')
        .steps(64)
        .reverse(false),
    )
    .filterValues(new heatmap.FilterValueRangeBuilder().le(1e-9))
    .yAxis(new heatmap.YAxisConfigBuilder().unit('s').reverse(false))
    .tooltip(new heatmap.HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
    .exemplarsColor('rgba(255,0,255,0.7)')
    .hideLegend()
    .withTarget(query('A', expr, '{{le}}').format(PromQueryFormat.Heatmap).exemplar(true))
  return described(panel, text)
}

/** A bar for each series, colored by its state. */
export function timeline({ expr, legend, states, steps, ...text }: TimelineOptions): AnyPanel {
  const panel = new timelines.PanelBuilder()
    .height(6)
    .mergeValues(true)
    .rowHeight(0.7)
    .showValue(VisibilityMode.Auto)
    .fillOpacity(80)
    .lineWidth(0)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(false)
        .calcs([]),
    )
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .thresholds(thresholds(steps))
    .mappings([stateTexts(states)])
    .withTarget(query('A', expr, legend))
  return described(panel, text)
}

/** The values of this moment, or of the whole time range. */
export function table(options: TableOptions): AnyPanel {
  const { exprs, columns, sortBy, descending = true, height = 8, cells = {}, ...text } = options
  const panel = new tables.PanelBuilder()
    .height(height)
    .showHeader(true)
    .cellHeight(TableCellHeight.Sm)
    .align(FieldTextAlignment.Auto)
    .filterable(true)
    .sortBy([new TableSortByFieldStateBuilder().displayName(sortBy).desc(descending)])
  for (const [index, expr] of exprs.entries()) {
    panel.withTarget(query(letter(index), expr, '__auto').format(PromQueryFormat.Table).instant())
  }
  for (const transformation of onlyColumns(columns, exprs.length)) panel.withTransformation(transformation)
  for (const [column, properties] of Object.entries(cells)) panel.overrideByName(column, properties)
  return described(panel, text)
}

/** Merges the results of several queries into one row for each set of labels. */
function onlyColumns(columns: Readonly<Record<string, string>>, queries: number): DataTransformerConfig[] {
  const names = Object.keys(columns)
  return [
    ...(queries > 1 ? [{ id: 'merge', options: {} }] : []),
    { id: 'filterFieldsByName', options: { include: { names } } },
    {
      id: 'organize',
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(names.map((name, index) => [name, index])),
        renameByName: columns,
      },
    },
  ]
}

/** A column of a table as a bar. */
export function gauge(color: string): DynamicConfigValue[] {
  return [
    { id: 'custom.cellOptions', value: { type: 'gauge', mode: 'basic', valueDisplayMode: 'text' } },
    fixedColor(color),
  ]
}

export function stateTexts(states: TimelineOptions['states']): ValueMapping {
  return {
    type: MappingType.ValueToText,
    options: Object.fromEntries(Object.entries(states).map(([value, [text, color]]) => [value, { text, color }])),
  }
}

export function fixedColor(color: string): DynamicConfigValue {
  return { id: 'color', value: { mode: 'fixed', fixedColor: color } }
}

function described<P extends AnyPanel>(panel: P, { title, description, unit, width, decimals, noValue }: Text): P {
  panel.title(title).description(description).unit(unit).span(width).datasource(SOURCE)
  if (decimals !== undefined) panel.decimals(decimals)
  if (noValue !== undefined) panel.noValue(noValue)
  return panel
}

function query(refId: string, expr: string, legend: string): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(refId)
    .datasource(SOURCE)
    .editorMode(QueryEditorMode.Code)
    .expr(expr)
    .legendFormat(legend)
    .range()
}

/** Exemplars are on the durations of requests; a panel that leaves routes together would draw too many. */
function hasExemplars(expr: string): boolean {
  return /http_server_request_duration_seconds_bucket\{[^}]*route=/.test(expr)
}

export function thresholds([first, ...rest]: Steps): ThresholdsConfigBuilder {
  const steps: Threshold[] = [{ color: first, value: null }, ...rest.map(([value, color]) => ({ color, value }))]
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps)
}

function letter(index: number): string {
  return String.fromCodePoint(65 + index)
}
