import type { Labels } from '../alerts/alert'
import type { ProvingTrace } from '../evidence/evidence'
import type { IncidentAlert } from '../record/incident'
import { hasRunbook } from './runbooks'
import { safeUrl } from '../../pages/safe-url'

/** The public addresses that a page links to; without an address there are no such links. */
export interface Places {
  /** Grafana: `dashboard_url` of the rules is a path below it. */
  readonly grafanaUrl: string | undefined
  /** This repository: `runbook_url` of the rules is a path below it. */
  readonly repositoryUrl: string | undefined
  readonly alertmanagerUrl: string | undefined
  /** Trace backends that evidence may come from, besides the gateway's replicas. */
  readonly jaegerUrl: string | undefined
  readonly tempoUrl: string | undefined
  /** Public address of Jaeger. */
  readonly jaegerPublicUrl: string | undefined
  /** Public address of the gateways' kept traces; undefined: the addresses that the gateways report. */
  readonly opsPublicUrl: string | undefined
  /** Public address of these pages: they show runbooks if no repository is set. */
  readonly ownUrl: string
}

export interface Link {
  readonly name: string
  readonly href: string
}

interface Range {
  readonly startMs: number
  readonly endMs: number
}

/** The links of one alert. Addresses that are not http(s) are left out: annotations come from outside. */
export function linksOf(alert: IncidentAlert, range: Range, places: Places): Link[] {
  const found: readonly (readonly [string, string | undefined])[] = [
    ['Runbook', runbookUrl(alert, places)],
    ['Dashboard', withTime(link(alert.annotations['dashboard_url'], places.grafanaUrl), range, places)],
    ['Query', openable(safeUrl(alert.generatorURL))],
    ['Silence', alert.endsAtMs === undefined ? silenceUrl(alert.labels, places.alertmanagerUrl) : undefined],
  ]
  return found.flatMap(([name, href]) => (href === undefined ? [] : [{ name, href }]))
}

/** The runbook's path as the rule names it, if it cannot be a link. */
export function runbookPath(alert: IncidentAlert, places: Places): string | undefined {
  return runbookUrl(alert, places) === undefined ? alert.annotations['runbook_url'] : undefined
}

type Annotated = Pick<IncidentAlert, 'labels' | 'annotations'>

/** The runbook in the repository, or on a page of this service. */
export function runbookUrl({ labels, annotations }: Annotated, { repositoryUrl, ownUrl }: Places): string | undefined {
  const path = annotations['runbook_url']
  const { alertname = '' } = labels
  const isShipped = path === `monitoring/runbooks/${alertname}.md` && hasRunbook(alertname)
  return link(path, repositoryUrl) ?? (isShipped ? safeUrl(`${ownUrl}/runbooks/${alertname}`) : undefined)
}

/** Turns annotations that are paths into public links, for messages. */
export function linkAnnotations(alert: Annotated, places: Places): Labels {
  const runbook = runbookUrl(alert, places)
  const dashboard = link(alert.annotations['dashboard_url'], places.grafanaUrl)
  return {
    ...(runbook !== undefined && { runbook_url: runbook }),
    ...(dashboard !== undefined && { dashboard_url: dashboard }),
  }
}

/**
 * The pages of a trace: at the replica that kept it, and in Jaeger, to which kept traces are exported. Tempo has no
 * page.
 */
export function traceLinks({ source, traceId }: ProvingTrace, places: Places): Link[] {
  const { jaegerUrl, jaegerPublicUrl, tempoUrl, opsPublicUrl } = places
  const isReplica = source !== undefined && source !== tempoUrl && source !== jaegerUrl
  const jaeger = jaegerPublicUrl ?? openable(jaegerUrl)
  const found: readonly (readonly [string, string | undefined])[] = [
    ['the gateway', isReplica ? safeUrl(`${opsPublicUrl ?? openable(source) ?? ''}/traces/${traceId}`) : undefined],
    ['Jaeger', jaeger === undefined ? undefined : safeUrl(`${jaeger}/trace/${traceId}`)],
  ]
  return found.flatMap(([name, href]) => (href === undefined ? [] : [{ name, href }]))
}

/**
 * Undefined for a host name with a single label, such as `gateway` or `jaeger`: it resolves between containers, but not
 * in a person's browser.
 */
export function openable(address: string | undefined): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined
  const { hostname } = new URL(address)
  return hostname === 'localhost' || hostname.includes('.') || hostname.includes(':') ? address : undefined
}

/** An address unchanged; a path (`/d/…`, `monitoring/…`) below its base; undefined without a base. */
function link(address: string | undefined, base: string | undefined): string | undefined {
  return safeUrl(address) ?? (base === undefined ? undefined : safeUrl(address?.replace(/^\/(?=[^/\\])/, ''), base))
}

/** Sets the time of the incident, so that Grafana does not open at "the last hour". */
function withTime(href: string | undefined, { startMs, endMs }: Range, { grafanaUrl }: Places): string | undefined {
  if (href === undefined || grafanaUrl === undefined || !href.startsWith(`${grafanaUrl}/`)) return href
  const url = new URL(href)
  url.searchParams.set('from', String(startMs))
  url.searchParams.set('to', String(endMs))
  return url.href
}

/** The address of Alertmanager's silence form with the alert's labels filled in. */
function silenceUrl(labels: Labels, alertmanagerUrl: string | undefined): string | undefined {
  if (alertmanagerUrl === undefined) return undefined
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return safeUrl(`${alertmanagerUrl}/#/silences/new?filter=${encodeURIComponent(`{${matchers.join(',')}}`)}`)
}
