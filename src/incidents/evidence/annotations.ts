import type { Alert, Labels } from '../alerts/alert'
import { differenceLines } from './comparison/wording'
import type { Evidence, ProvingTrace } from './evidence'
import { lasted } from '../../pages/times'
import { budgetInWords } from './budget'
import { loadInWords } from './load'
import { isOfOneReason } from './selection'
import { signatureLine } from './signatures'
import { statusesInWords } from './statuses'

/** Maximum characters of the evidence in a message: one or two screens of a phone. */
const MAX_CHARACTERS = 1_500
const MAX_TRACE_LINES = 3

/**
 * The evidence as annotations that any receiver can show. Labels and paths come from clients: here they are shortened
 * and stripped of control characters; each template escapes them for its own format.
 */
export function toAnnotations(
  { labels }: Pick<Alert, 'labels'>,
  evidence: Evidence,
  incidentUrl: string | undefined,
): Labels {
  const lines = [
    ...evidence.signatures.slice(0, 4).map(signatureLine),
    ...(evidence.comparison === undefined
      ? []
      : differenceLines(evidence.comparison, labels['family']).map(capitalised)),
    ...(evidence.statuses.length > 0 ? [`Statuses: ${statusesInWords(evidence.statuses)}`] : []),
    ...budgetLine(evidence),
    ...loadLine(evidence),
    ...limitedLine(evidence),
    ...evidence.traces.slice(0, MAX_TRACE_LINES).map(traceLine),
    ...onsetLine(evidence, isOfOneReason({ labels }) ? REFUSED : FAILED),
    ...changeLines(evidence),
    ...(evidence.missing.length > 0 ? [`Not found out: ${evidence.missing.join('; ')}`] : []),
  ]
  const text = lines.map(clean).join('\n').slice(0, MAX_CHARACTERS)
  return {
    ...(text !== '' && { evidence: text }),
    ...(evidence.traces.length > 0 && { trace_ids: evidence.traces.map(({ traceId }) => traceId).join(' ') }),
    ...(incidentUrl !== undefined && { incident_url: incidentUrl }),
  }
}

/** "Trace 4bf92f35…: GET /api/orders/17 502 in 12 ms". */
function traceLine({ traceId, method, path, status, durationMs, source }: ProvingTrace): string {
  const request = [method, path, status].filter(part => part !== undefined).join(' ')
  return `Trace ${traceId}: ${request} in ${Math.round(durationMs)} ms${source === undefined ? ' (not verified)' : ''}`
}

/** "Most limited: 9f86d081884c (120 times), 60303ae22b99 (3 times)". */
function limitedLine({ limitedClients }: Evidence): string[] {
  if (limitedClients.length === 0) return []
  return [`Most limited: ${limitedClients.map(({ client, count }) => `${client} (${count} times)`).join(', ')}`]
}

/** "Budget: 12 % of the 30-day error budget in 20 minutes, 63 % is left". */
function budgetLine({ budget, firstBadMs, window }: Evidence): string[] {
  if (budget === undefined) return []
  return [`Budget: ${budgetInWords(budget, window.endMs - (firstBadMs ?? window.startMs))}`]
}

/** "Load: up to 812 requests at once, the event loop up to 640 ms late". */
function loadLine({ load }: Evidence): string[] {
  const said = load === undefined ? '' : loadInWords(load)
  return said === '' ? [] : [`Load: ${said}`]
}

const FAILED = { first: 'First failure at', none: 'nothing failed until' }
const REFUSED = { first: 'First refused at', none: 'nothing was refused until' }

function onsetLine({ firstBadMs, lastBadMs, lastGoodMs }: Evidence, said: typeof FAILED): string[] {
  if (firstBadMs === undefined) return []
  // Counters are read every few seconds, traces have milliseconds: a last success after the first failure is not shown.
  const good = lastGoodMs === undefined || lastGoodMs > firstBadMs ? '' : `, ${said.none} ${clock(lastGoodMs)}`
  const last = lastBadMs === undefined ? '' : `, last ${clock(lastBadMs)}`
  return [`${said.first} ${clock(firstBadMs)}${last}${good}`]
}

/** Maximum changes in a message. */
const MAX_CHANGES = 3

/** "11 s before: configuration 3f2a91 came into force (14:59:07 UTC)", the nearest to the first failure first. */
function changeLines({ changes, firstBadMs }: Evidence): string[] {
  if (firstBadMs === undefined) {
    return changes.slice(-MAX_CHANGES).map(({ timeMs, what }) => `Before: ${what} at ${clock(timeMs)}`)
  }
  const distance = ({ timeMs }: Evidence['changes'][number]): number => Math.abs(timeMs - firstBadMs)
  return changes
    .toSorted((a, b) => distance(a) - distance(b))
    .slice(0, MAX_CHANGES)
    .map(change => {
      const { timeMs, what } = change
      const when = timeMs <= firstBadMs ? 'before' : 'after the first failure'
      return `${lasted(distance(change))} ${when}: ${what} (${clock(timeMs)})`
    })
}

function capitalised(line: string): string {
  return line.charAt(0).toUpperCase() + line.slice(1)
}

function clock(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(11, 19)} UTC`
}

function clean(line: string): string {
  return line.replaceAll(/\p{C}/gu, ' ').slice(0, 300)
}
