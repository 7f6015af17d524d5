import { z } from 'zod'

export type Labels = Readonly<Record<string, string>>

/** An alert as Prometheus posts it and Alertmanager takes it (`postableAlert` of Alertmanager's API v2). */
export interface Alert {
  readonly labels: Labels
  readonly annotations: Labels
  /** RFC 3339. */
  readonly startsAt: string
  /**
   * RFC 3339. In the future while the alert fires: then Alertmanager resolves it at this time unless it is repeated.
   */
  readonly endsAt: string | undefined
  readonly generatorURL: string
}

/** Maximum characters of all labels and annotations of one alert; those of our own rules are far smaller. */
const MAX_ALERT_CHARACTERS = 64 * 1024
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

const labelSet = z.record(z.string().regex(LABEL_NAME), z.string())
const postableAlert = z.object({
  labels: labelSet.refine(
    labels => Object.values(labels).some(value => value !== ''),
    'at least one label pair required',
  ),
  annotations: labelSet.default({}),
  startsAt: z.iso.datetime({ offset: true }).optional(),
  endsAt: z.iso.datetime({ offset: true }).optional(),
  generatorURL: z.string().default(''),
})

export interface ParsedAlerts {
  readonly alerts: readonly Alert[]
  /** The problems of the invalid alerts, by index. */
  readonly problems: readonly string[]
}

/** Parses a posted list. Like Alertmanager it accepts the valid alerts and reports the others. */
export function parseAlerts(body: unknown, now: Date): ParsedAlerts {
  if (!Array.isArray(body)) return { alerts: [], problems: ['the body is not a list of alerts'] }
  const alerts: Alert[] = []
  const problems: string[] = []
  for (const [index, item] of body.entries()) {
    const parsed = postableAlert.safeParse(item)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      problems.push(`alert ${index}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'invalid'}`)
    } else if (charactersOf(parsed.data) > MAX_ALERT_CHARACTERS) {
      problems.push(`alert ${index}: more than ${MAX_ALERT_CHARACTERS} characters of labels and annotations`)
    } else {
      alerts.push({ ...parsed.data, startsAt: parsed.data.startsAt ?? now.toISOString(), endsAt: parsed.data.endsAt })
    }
  }
  return { alerts, problems }
}

/** The identity of an alert: its labels in any order. */
export function fingerprint({ labels }: Alert): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function isResolved({ endsAt }: Alert, now: number): boolean {
  return endsAt !== undefined && Date.parse(endsAt) <= now
}

/** Characters of all labels and annotations. */
export function charactersOf({ labels, annotations }: { labels: Labels; annotations: Labels }): number {
  let characters = 0
  for (const set of [labels, annotations]) {
    for (const [name, value] of Object.entries(set)) characters += name.length + value.length
  }
  return characters
}
