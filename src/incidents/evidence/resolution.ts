import type { Alert } from '../alerts/alert'
import type { NamedDifference } from './comparison/compare'
import { differenceLines, nameOf } from './comparison/wording'
import type { Change, Evidence } from './evidence'
import { placeOf, saidOf } from './signatures'

/** How long before the first failure a change may have been to be suggested as a subject of the runbook. */
const SHORTLY_BEFORE_MS = 2 * 60_000

type Known = Pick<Evidence, 'signatures' | 'comparison' | 'budget' | 'changes' | 'firstBadMs'>

/**
 * What is known once an alert is over: "1234 requests failed, 12 % of the month's error budget spent. As far as known,
 * orders → 10.0.0.7:9001 refused the connection in 28 of 40. Suggestion for the runbook: …". Empty if nothing is known.
 */
export function resolutionInWords(
  { labels }: Pick<Alert, 'labels'>,
  evidence: Known,
  affected: number | undefined,
): string {
  const what = labels['family'] === 'faults' ? 'failed' : 'were refused'
  const spent = evidence.budget?.spent
  const impact = [
    ...(affected === undefined || affected === 0 ? [] : [`${affected} request${affected === 1 ? '' : 's'} ${what}`]),
    ...(spent === undefined ? [] : [`${Number((spent * 100).toPrecision(2))} % of the month's error budget spent`]),
  ].join(', ')
  const cause = causeInWords(evidence, labels['family'])
  const suggestion = runbookSuggestion(evidence)
  return [
    impact,
    ...(cause === undefined ? [] : [`As far as known, ${cause}`]),
    ...(suggestion === undefined ? [] : [`Suggestion for the runbook: ${suggestion}`]),
  ]
    .filter(part => part !== '')
    .join('. ')
    .replaceAll(/\p{C}/gu, ' ')
    .slice(0, MAX_CHARACTERS)
}

/** Maximum characters: a few lines of a phone. */
const MAX_CHARACTERS = 600

function causeInWords({ signatures: [first], comparison }: Known, family: string | undefined): string | undefined {
  const [difference] = comparison === undefined ? [] : differenceLines(comparison, family)
  const failure = first && `${placeOf(first)} ${saidOf(first)} in ${first.count} of ${first.total}`
  return [failure, difference].filter(part => part !== undefined).join('; ') || undefined
}

/** What the runbook should say the next time, from what set this incident apart; undefined if nothing did. */
export function runbookSuggestion({ comparison, changes, firstBadMs }: Known): string | undefined {
  const [difference] = comparison?.differences ?? []
  const change = changes.findLast(({ timeMs }) => isShortlyBefore(timeMs, firstBadMs))
  return (difference && ofDifference(difference)) ?? (change && ofChange(change))
}

function isShortlyBefore(timeMs: number, onsetMs: number | undefined): boolean {
  return onsetMs !== undefined && timeMs <= onsetMs && onsetMs - timeMs <= SHORTLY_BEFORE_MS
}

function ofDifference(difference: NamedDifference): string | undefined {
  const name = nameOf(difference)
  switch (difference.dimension) {
    case 'target':
    case 'instance':
      return `how to take ${name} out of service, and how to see that it has recovered`
    case 'release':
    case 'variant':
      return `how to roll back ${name}`
    case 'consumer':
    case 'clientNetwork':
    case 'userAgent':
    case 'tier':
      return `whom to ask about requests of ${name}, and how to limit them`
    case 'path':
    case 'route':
    case 'routeName':
      return `what ${name} depends on, and how to check it`
    default:
      return undefined
  }
}

function ofChange({ what }: Change): string {
  return `how to check and undo a change such as "${what.slice(0, 150)}"`
}
