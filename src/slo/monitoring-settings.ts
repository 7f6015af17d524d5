import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { problemsOf } from '../config/findings'
import type { ConfigProblem } from '../config/types'
import { duration } from '../config/values/duration'
import { field } from '../config/values/field'
import { parsePublicUrl } from '../config/values/public-url'
import { refuse, type Parsed } from '../config/values/parsed'
import { readYaml } from '../config/yaml-source'

/**
 * How rules, dashboards and routes must differ from the shipped ones to fit a Prometheus and an Alertmanager that are there
 * already: a YAML file for `npm run monitoring -- --settings FILE`. Every key may be left out.
 */
const labelName = field(parseLabelName, { description: 'Name of a Prometheus label.', type: 'string' })
const word = field(parseWord, { description: 'One line of text.', type: 'string' })
const hold = field(parseHold, { description: 'How long the condition must hold, such as 5m; 0s for not at all.' })
const url = field(parsePublicUrl, { description: 'An http or https address.', type: 'string' })
const number = field(parseNumber, { description: 'A number.', type: 'number' })

const settingsSchema = z.strictObject({
  jobs: z
    .strictObject({
      gateway: word.prefault('myesi-api'),
      redis: word.prefault('redis'),
      prometheus: word.prefault('prometheus'),
      alertmanager: word.prefault('alertmanager'),
      incidents: word.prefault('incidents'),
      collector: word.prefault('otel-collector'),
    })
    .prefault({})
    .meta({ description: 'Scrape jobs, by what they scrape.' }),
  labels: z.array(labelName).prefault([]).meta({
    description: 'Labels that tell clusters or environments apart: alerts keep them, and judge each value by itself.',
  }),
  severities: z
    .strictObject({
      critical: word.prefault('critical'),
      warning: word.prefault('warning'),
      info: word.prefault('info'),
      none: word.prefault('none'),
    })
    .prefault({})
    .meta({ description: 'What the severities are called.' }),
  receivers: z
    .strictObject({
      page: word.prefault('page'),
      team: word.prefault('team'),
      heartbeat: word.prefault('heartbeat'),
      nobody: word.prefault('nobody'),
    })
    .prefault({})
    .meta({ description: 'What the receivers of Alertmanager are called.' }),
  alerts: z
    .record(
      z.string(),
      z.union([
        z.strictObject({
          for: hold.optional(),
          thresholds: z
            .record(z.string(), number)
            .prefault({})
            .meta({ description: 'Numbers of the shipped expression and what to compare with in their place.' }),
        }),
        field(parseLeftOut, { description: 'Leaves the alert out.', anyOf: [{ const: false }] }),
      ]),
    )
    .prefault({})
    .meta({ description: 'Changes of single alerts.' }),
  links: z.strictObject({ grafana: url.optional(), repository: url.optional() }).prefault({}).meta({
    description:
      'Where people reach Grafana and this repository, for messages that the incident service does not complete.',
  }),
  format: field(parseFormat, {
    description: 'What the rule files are for.',
    enum: ['prometheus', 'operator', 'mimir', 'thanos'],
  }).prefault('prometheus'),
  resource: z
    .strictObject({
      name: word.prefault('myesi-gateway'),
      namespace: word.optional(),
      labels: z.record(z.string(), word).prefault({}),
    })
    .prefault({})
    .meta({
      description: 'For operator: metadata of the PrometheusRule. For mimir: name is the namespace of the rules.',
    }),
})

export type MonitoringSettings = z.output<typeof settingsSchema>
export type RuleFormat = (typeof FORMATS)[number]

const FORMATS = ['prometheus', 'operator', 'mimir', 'thanos'] as const

export const SHIPPED_SETTINGS: MonitoringSettings = settingsSchema.parse({})

/** Every problem in one go; never throws. */
export function parseMonitoringSettings(
  text: string,
  fileName: string,
): { readonly settings: MonitoringSettings | undefined; readonly problems: readonly ConfigProblem[] } {
  const { source, problems } = readYaml(text, fileName, {})
  if (source === undefined) return { settings: undefined, problems }
  const parsed = settingsSchema.safeParse(source.value)
  if (!parsed.success)
    return { settings: undefined, problems: [...problems, ...problemsOf(parsed.error, settingsSchema, source)] }
  return { settings: problems.length > 0 ? undefined : parsed.data, problems }
}

export function readMonitoringSettings(path: string): ReturnType<typeof parseMonitoringSettings> {
  try {
    return parseMonitoringSettings(readFileSync(path, 'utf8'), path)
  } catch (error) {
    const { message } = error as Error
    return { settings: undefined, problems: [{ where: path, problem: `the file cannot be read: ${message}` }] }
  }
}

function parseLabelName(found: unknown): Parsed<string> {
  if (typeof found === 'string' && /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(found)) return { value: found }
  return refuse('is not the name of a label', 'letters, digits and _, such as cluster')
}

function parseWord(found: unknown): Parsed<string> {
  if (typeof found === 'string' && /^[^\p{C}"\\]{1,200}$/u.test(found)) return { value: found }
  return refuse('is not a name', 'one line of text without quotes and backslashes')
}

function parseHold(found: unknown): Parsed<string> {
  if (found === '0s') return { value: found }
  const parsed = duration({ atLeast: '1s' })(found)
  return 'value' in parsed ? { value: String(found) } : parsed
}

function parseNumber(found: unknown): Parsed<number> {
  if (typeof found === 'number' && Number.isFinite(found)) return { value: found }
  return refuse('is not a number', 'a number')
}

function parseLeftOut(found: unknown): Parsed<false> {
  if (found === false) return { value: false }
  return refuse('changes nothing', 'a map with for and thresholds, or false')
}

function parseFormat(found: unknown): Parsed<RuleFormat> {
  const format = FORMATS.find(one => one === found)
  return format === undefined ? refuse('is no format', FORMATS.join(', ')) : { value: format }
}
