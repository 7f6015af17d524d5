import { z } from 'zod'

const map = (description: string): z.ZodType => z.record(z.string(), z.string()).describe(description)
const time = z.iso.datetime({ offset: true })

/**
 * What Alertmanager posts to a webhook, with the labels and annotations of these rules and of the incident service. Written to
 * `docs/alert-webhook.schema.json` for the people who write the receiver.
 */
export const webhookMessage = z.object({
  version: z.literal('4').describe('Of the format; Alertmanager raises it when a field changes its meaning.'),
  groupKey: z.string().describe('The same for each message about this group.'),
  status: z.enum(['firing', 'resolved']).describe('resolved: none of the alerts fires any more.'),
  receiver: z.string(),
  truncatedAlerts: z.number().int().describe('Alerts left out because of max_alerts.'),
  groupLabels: map('Labels that the alerts are grouped by.'),
  commonLabels: map('Labels that all alerts have.'),
  commonAnnotations: map('Annotations that all alerts have.'),
  externalURL: z.string().describe('Address of Alertmanager.'),
  alerts: z
    .array(
      z.object({
        status: z.enum(['firing', 'resolved']),
        labels: z.looseObject({
          alertname: z.string().describe('docs/alerts.md lists them.'),
          severity: z.string().describe('critical, warning, info or none.'),
          component: z.string().describe('gateway, redis or monitoring.'),
          family: z.string().describe('Alerts of one family are one symptom.'),
          job: z.string().optional(),
          instance: z.string().optional(),
          http_route: z.string().optional(),
          gateway_upstream_name: z.string().optional(),
        }),
        annotations: z.looseObject({
          summary: z.string().optional().describe('One line without values.'),
          description: z.string().optional(),
          reason: z.string().optional().describe('The most frequent reasons, with commas: docs/errors.md.'),
          runbook_url: z.string().optional(),
          dashboard_url: z.string().optional(),
          incident_url: z.string().optional().describe('The incident; its JSON is docs/incident.schema.json.'),
          evidence: z.string().optional().describe('What the incident service found; several lines.'),
          budget: z.string().optional().describe('The part of the error budget that was spent.'),
          outcome: z.string().optional().describe('Of a resolved alert: how many requests failed.'),
        }),
        startsAt: time,
        endsAt: time.describe('Year 1 while the alert fires.'),
        generatorURL: z.string(),
        fingerprint: z.string().describe('Of the labels.'),
      }),
    )
    .describe('Firing and resolved ones; the latter once.'),
})

export function webhookJsonSchema(): string {
  const schema = z.toJSONSchema(webhookMessage, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'A message about alerts of myesi-gateway', ...schema }, null, 2)}\n`
}
