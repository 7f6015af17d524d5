/**
 * A reader of Prometheus text 0.0.4 and OpenMetrics 1.0 that forgives nothing: what it lets pass, every scraper takes.
 * Written from the formats' specifications, not from our writer.
 */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly exemplar: SampleExemplar | undefined
  readonly line: number
}

export interface SampleExemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Seconds since the epoch. */
  readonly timestamp: number | undefined
}

export interface ExposedFamily {
  readonly name: string
  readonly type: string
  readonly help: string | undefined
  readonly unit: string | undefined
  readonly samples: readonly Sample[]
}

export type ExpositionFormat = 'text' | 'openmetrics'

interface OpenFamily {
  readonly name: string
  type: string | undefined
  help: string | undefined
  unit: string | undefined
  readonly samples: Sample[]
}

/** What may follow the family's name in the names of its samples. */
const SUFFIXES: Readonly<Record<ExpositionFormat, Readonly<Record<string, readonly string[]>>>> = {
  text: { counter: [''], gauge: [''], histogram: ['_bucket', '_count', '_sum'] },
  openmetrics: { counter: ['_total'], gauge: [''], histogram: ['_bucket', '_count', '_sum'], info: ['_info'] },
}

/** @throws with the line, for whatever a strict reader may refuse */
export function parseExposition(text: string, format: ExpositionFormat): Map<string, ExposedFamily> {
  const lines = linesOf(text, format)
  const families = new Map<string, OpenFamily>()
  let current: OpenFamily | undefined
  for (const [index, line] of lines.entries()) {
    const fail = (problem: string): never => {
      throw new Error(`line ${index + 1}: ${problem}: ${line}`)
    }
    if (line.startsWith('#')) current = readMetadata(line, current, families, fail)
    else current = readSample(line, index + 1, current, format, fail)
  }
  for (const family of families.values()) checkFamily(family, format)
  checkUnique(families)
  return families as Map<string, ExposedFamily>
}

/** The value of the one series with these labels, whichever others it has; undefined: there is none. */
export function sampleValue(
  families: ReadonlyMap<string, ExposedFamily>,
  sample: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const all = [...families.values()].flatMap(family => family.samples)
  return all.find(
    found => found.name === sample && Object.entries(labels).every(([name, value]) => found.labels[name] === value),
  )?.value
}

function linesOf(text: string, format: ExpositionFormat): string[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('does not end with # EOF')
  return lines
}

function readMetadata(
  line: string,
  current: OpenFamily | undefined,
  families: Map<string, OpenFamily>,
  fail: (problem: string) => never,
): OpenFamily {
  const [, kind, name, rest] =
    /^# (TYPE|HELP|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line) ?? fail('not metadata')
  let family = current
  if (family?.name !== name) {
    if (families.has(name!)) fail('a family in two places')
    family = { name: name!, type: undefined, help: undefined, unit: undefined, samples: [] }
    families.set(name!, family)
  }
  if (family!.samples.length > 0) fail('metadata after samples')
  const field = kind!.toLowerCase() as 'type' | 'help' | 'unit'
  if (family![field] !== undefined) fail('said twice')
  family![field] = rest!
  return family!
}

function readSample(
  line: string,
  number: number,
  family: OpenFamily | undefined,
  format: ExpositionFormat,
  fail: (problem: string) => never,
): OpenFamily {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0] ?? fail('no name')
  if (family === undefined || !name.startsWith(family.name)) return fail('a sample outside its family')
  const suffixes = SUFFIXES[format][family.type ?? fail('no type')] ?? fail(`type ${family.type}`)
  const suffix = name.slice(family.name.length)
  if (!suffixes.includes(suffix)) fail(`no sample of a ${family.type}`)
  const { labels, end } = readLabels(line, name.length, fail)
  const [, value, rest] = /^ (\S+)(?: # (.+))?$/.exec(line.slice(end)) ?? fail('no value')
  if (rest !== undefined && (format === 'text' || !['_total', '_bucket'].includes(suffix))) fail('an exemplar here')
  const exemplar = rest === undefined ? undefined : readExemplar(rest, fail)
  const sample = { name, labels, value: readNumber(value!, fail), exemplar, line: number }
  if (family.type === 'counter' && !(sample.value >= 0)) fail('a counter below zero')
  if ((suffix === '_bucket') !== (labels['le'] !== undefined)) fail('le where it does not belong, or missing')
  family.samples.push(sample)
  return family
}

function readExemplar(text: string, fail: (problem: string) => never): SampleExemplar {
  const { labels, end } = readLabels(text, 0, fail)
  const [, value, timestamp] = /^ (\S+)(?: (\d+(?:\.\d+)?))?$/.exec(text.slice(end)) ?? fail('a broken exemplar')
  const characters = Object.entries(labels).flat().join('')
  if (Array.from(characters).length > 128) fail('more than 128 characters of exemplar labels')
  return {
    labels,
    value: readNumber(value!, fail),
    timestamp: timestamp === undefined ? undefined : Number(timestamp),
  }
}

function readLabels(
  line: string,
  start: number,
  fail: (problem: string) => never,
): { labels: Record<string, string>; end: number } {
  const labels: Record<string, string> = {}
  if (line[start] !== '{') return { labels, end: start }
  let at = start + 1
  while (line[at] !== '}') {
    const [all, name] = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(line.slice(at)) ?? fail('no label name')
    if (Object.hasOwn(labels, name!)) fail(`label ${name} twice`)
    at += all.length
    let value = ''
    while (line[at] !== '"') {
      if (at >= line.length) fail('label value without end')
      if (line[at] === '\\') value += unescape(line[++at], fail)
      else value += line[at]
      at++
    }
    labels[name!] = value
    at++
    if (line[at] === ',') at++
    else if (line[at] !== '}') fail('neither , nor } after a label')
    if (line[at] === '}' && line[at - 1] === ',') fail('a comma too many')
  }
  return { labels, end: at + 1 }
}

function unescape(character: string | undefined, fail: (problem: string) => never): string {
  if (character === 'n') return '\n'
  return character === '\\' || character === '"' ? character : fail('no such escape')
}

function readNumber(text: string, fail: (problem: string) => never): number {
  if (text === '+Inf') return Infinity
  if (text === '-Inf') return -Infinity
  if (text === 'NaN') return NaN
  return /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : fail('not a number')
}

function checkFamily(family: OpenFamily, format: ExpositionFormat): void {
  if (family.type === undefined) throw new Error(`${family.name} has no type`)
  if (family.samples.length === 0) throw new Error(`${family.name} has no samples`)
  if (family.unit !== undefined && !family.name.endsWith(`_${family.unit}`)) {
    throw new Error(`${family.name} does not end with its unit ${family.unit}`)
  }
  if (family.type === 'histogram') checkHistogram(family, format)
}

function checkHistogram(family: OpenFamily, format: ExpositionFormat): void {
  const series = Map.groupBy(family.samples, sample => keyOf({ ...sample.labels, le: '' }))
  for (const samples of series.values()) {
    const buckets = samples.filter(sample => sample.name === `${family.name}_bucket`)
    const count = samples.find(sample => sample.name === `${family.name}_count`)?.value
    const fail = (problem: string): never => {
      throw new Error(`line ${buckets[0]?.line}: ${family.name}: ${problem}`)
    }
    if (buckets.at(-1)?.labels['le'] !== '+Inf') fail('the last bucket is not +Inf')
    if (count !== undefined && buckets.at(-1)!.value !== count) fail('the bucket +Inf is not the count')
    for (const [index, bucket] of buckets.entries()) {
      const le = bucket.labels['le']!
      if (format === 'openmetrics' && /^-?\d+$/.test(le)) fail(`le="${le}" is not written as a float`)
      const earlier = buckets[index - 1]
      if (earlier === undefined) continue
      if (!(boundary(earlier) < boundary(bucket))) fail('boundaries do not rise')
      if (earlier.value > bucket.value) fail('buckets are not cumulative')
    }
  }
}

function boundary(bucket: Sample): number {
  return bucket.labels['le'] === '+Inf' ? Infinity : Number(bucket.labels['le'])
}

/** Neither the same series twice, nor the same sample name in two families. */
function checkUnique(families: ReadonlyMap<string, OpenFamily>): void {
  const owners = new Map<string, OpenFamily>()
  const series = new Set<string>()
  for (const family of families.values()) {
    for (const sample of family.samples) {
      const owner = owners.get(sample.name) ?? family
      if (owner !== family) throw new Error(`${sample.name} belongs to ${owner.name} and ${family.name}`)
      owners.set(sample.name, family)
      const key = `${sample.name} ${keyOf(sample.labels)}`
      if (series.has(key)) throw new Error(`line ${sample.line}: series twice: ${key}`)
      series.add(key)
    }
  }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}
