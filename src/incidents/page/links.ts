import type { Labels } from '../alerts/alert'
import type { ProvingTrace } from '../evidence/evidence'
import type { IncidentAlert } from '../record/incident'
import { safeUrl } from '../../pages/safe-url'

/** Where what a page links to is, as people reach it; without one of them there are no such links. */
export interface Places {
  /** Grafana: `dashboard_url` of the rules is a path there. */
  readonly grafanaUrl: string | undefined
  /** Where this repository can be read: `runbook_url` of the rules is a path there. */
  readonly repositoryUrl: string | undefined
  readonly alertmanagerUrl: string | undefined
  /** Trace backends that evidence may come from, besides the gateway's replicas. */
  readonly jaegerUrl: string | undefined
  readonly tempoUrl: string | undefined
}

export interface Link {
  readonly name: string
  readonly href: string
}

interface Range {
  readonly startMs: number
  readonly endMs: number
}

/** What to open next, of one alert. Addresses that are not http(s) are left out: annotations come from outside. */
export function linksOf(alert: IncidentAlert, range: Range, places: Places): Link[] {
  const found: readonly (readonly [string, string | undefined])[] = [
    ['Runbook', link(alert.annotations['runbook_url'], places.repositoryUrl)],
    ['Dashboard', withTime(link(alert.annotations['dashboard_url'], places.grafanaUrl), range, places)],
    ['Query', safeUrl(alert.generatorURL)],
    ['Silence', alert.endsAtMs === undefined ? silenceUrl(alert.labels, places.alertmanagerUrl) : undefined],
  ]
  return found.flatMap(([name, href]) => (href === undefined ? [] : [{ name, href }]))
}

/** The runbook as the rule names it, where that cannot be a link. */
export function runbookPath(alert: IncidentAlert, { repositoryUrl }: Places): string | undefined {
  const path = alert.annotations['runbook_url']
  return link(path, repositoryUrl) === undefined ? path : undefined
}

/** The page of a trace where it was opened: a replica's, or Jaeger's. Tempo has none. */
export function traceUrl({ source, traceId }: ProvingTrace, { jaegerUrl, tempoUrl }: Places): string | undefined {
  if (source === undefined || source === tempoUrl) return undefined
  return safeUrl(`${source}/${source === jaegerUrl ? 'trace' : 'traces'}/${traceId}`)
}

/** An address as it is; a path (`/d/…`, `monitoring/…`) below its base, or nowhere without one. */
function link(address: string | undefined, base: string | undefined): string | undefined {
  return safeUrl(address) ?? (base === undefined ? undefined : safeUrl(address?.replace(/^\/(?=[^/\\])/, ''), base))
}

/** Grafana opens at the time of the incident and not at "the last hour". */
function withTime(href: string | undefined, { startMs, endMs }: Range, { grafanaUrl }: Places): string | undefined {
  if (href === undefined || grafanaUrl === undefined || !href.startsWith(`${grafanaUrl}/`)) return href
  const url = new URL(href)
  url.searchParams.set('from', String(startMs))
  url.searchParams.set('to', String(endMs))
  return url.href
}

/** Alertmanager's form for a silence, filled in with the alert's labels. */
function silenceUrl(labels: Labels, alertmanagerUrl: string | undefined): string | undefined {
  if (alertmanagerUrl === undefined) return undefined
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return safeUrl(`${alertmanagerUrl}/#/silences/new?filter=${encodeURIComponent(`{${matchers.join(',')}}`)}`)
}
