/** The formats that a scraper may ask for. */
export type Format = TextFormat | 'protobuf'
export type TextFormat = 'text' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
}

interface MediaRange {
  readonly type: string
  readonly version: string | undefined
  readonly q: number
  /** Of protobuf: whether it is the message and the framing that are written here. */
  readonly isDelimitedFamily: boolean
}

const PROTOBUF = 'application/vnd.google.protobuf'

/**
 * The format that the scraper prefers (RFC 9110 §12.5.1). Text if it has no preference, and also if it accepts neither:
 * a response that may be usable is better than 406. Protobuf only if it is named, and only with native histograms: it has
 * nothing else that the text has not.
 *
 * @param hasProtobuf whether there are native histograms
 */
export function negotiateFormat(accept: string | undefined, hasProtobuf = false): Format {
  const ranges = mediaRanges(accept ?? '')
  const format = negotiateText(ranges)
  if (!hasProtobuf) return format
  const weight = ranges.find(({ type, isDelimitedFamily }) => type === PROTOBUF && isDelimitedFamily)?.q ?? 0
  const ofText =
    format === 'text'
      ? preference(ranges, 'text/plain', ['0.0.4'])
      : preference(ranges, 'application/openmetrics-text', ['1.0.0'])
  return weight > 0 && weight >= ofText.q ? 'protobuf' : format
}

function negotiateText(ranges: readonly MediaRange[]): TextFormat {
  const text = preference(ranges, 'text/plain', ['0.0.4'])
  const openmetrics = preference(ranges, 'application/openmetrics-text', ['1.0.0'])
  if (openmetrics.q !== text.q) return openmetrics.q > text.q ? 'openmetrics' : 'text'
  // "application/openmetrics-text, */*": a named type is preferred to one that only matches a wildcard.
  return openmetrics.q > 0 && openmetrics.specificity > text.specificity ? 'openmetrics' : 'text'
}

/** Whether the body may be gzipped (RFC 9110 §12.5.3). */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const codings = mediaRanges(acceptEncoding ?? '')
  const gzip = codings.find(coding => coding.type === 'gzip' || coding.type === 'x-gzip')
  const any = codings.find(coding => coding.type === '*')
  return (gzip ?? any ?? { q: 0 }).q > 0
}

/** The weight of a media type, from the most specific range that matches it; q 0 if none does. */
function preference(
  ranges: readonly MediaRange[],
  type: string,
  versions: readonly string[],
): { readonly q: number; readonly specificity: number } {
  let best = { q: 0, specificity: -1 }
  for (const range of ranges) {
    const specificity = specificityOf(range, type, versions)
    if (specificity > best.specificity) best = { q: range.q, specificity }
  }
  return best
}

/** -1: the range does not match the type. Another version is another format: OpenMetrics 0.0.1 is not written here. */
function specificityOf(range: MediaRange, type: string, versions: readonly string[]): number {
  if (range.type === type) {
    if (range.version === undefined) return 2
    return versions.includes(range.version) ? 3 : -1
  }
  if (range.type === `${type.slice(0, type.indexOf('/'))}/*`) return 1
  return range.type === '*/*' ? 0 : -1
}

function mediaRanges(header: string): MediaRange[] {
  return header
    .toLowerCase()
    .split(',')
    .map(entry => entry.split(';').map(part => part.trim()))
    .filter(parts => parts[0] !== '')
    .map(([type, ...parameters]) => {
      const weight = Number(parameter(parameters, 'q') ?? 1)
      return {
        type: type!,
        version: parameter(parameters, 'version'),
        isDelimitedFamily:
          parameter(parameters, 'encoding') === 'delimited' &&
          parameter(parameters, 'proto') === 'io.prometheus.client.metricfamily',
        // An unreadable weight is ignored, and a missing weight means 1.
        q: weight >= 0 && weight <= 1 ? weight : 1,
      }
    })
}

function parameter(parameters: readonly string[], name: string): string | undefined {
  const found = parameters.find(entry => entry.startsWith(`${name}=`))
  return found?.slice(name.length + 1).replace(/^"(.*)"$/, '$1')
}
