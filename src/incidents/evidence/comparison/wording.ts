import { clock } from '../../../pages/times'
import type { Comparison, NamedDifference } from './compare'
import type { Value } from './find-differences'

/** Phrase for requests with the value: "went to 10.0.0.7:9001". */
const PHRASES: Readonly<Record<string, (value: string) => string>> = {
  variant: value => `were of variant ${value}`,
  target: value => `went to ${value}`,
  release: value => `went to release ${value}`,
  upstream: value => `went to upstream ${value}`,
  instance: value => `came through gateway ${value}`,
  route: value => `were for ${value}`,
  routeName: value => `took route ${value}`,
  consumer: value => (value === 'none' ? 'came from no known consumer' : `came from consumer ${value}`),
  tier: value => (value === 'none' ? 'had no tier' : `were of tier ${value}`),
  path: value => `had a path like ${value}`,
  method: value => `were ${value}`,
  host: value => `asked for host ${value}`,
  query: value => (value === 'present' ? 'had a query' : 'had no query'),
  contentType: value => (value === 'none' ? 'had no content-type' : `had content-type ${value}`),
  requestSize: value => (value === 'none' ? 'had no body' : `had a body of ${value}`),
  responseSize: value => (value === 'none' ? 'got no body' : `got a body of ${value}`),
  status: value => `were answered ${value}`,
  userAgent: value => (value === 'none' ? 'had no user-agent' : `came from ${value}`),
  clientNetwork: value => `came from network ${value}`,
  protocol: value => `used HTTP/${value}`,
  tls: value => (value === 'none' ? 'used no TLS' : `used ${value}`),
}

/** Short name of a value: "release 1.4.2". */
const NAMED: Readonly<Record<string, string>> = {
  contentType: 'content-type',
  requestSize: 'request body',
  responseSize: 'response body',
  userAgent: 'user agent',
  clientNetwork: 'network',
  routeName: 'route',
}

const ADJECTIVES: ReadonlyMap<string | undefined, string> = new Map([
  ['latency', 'slow'],
  ['rate-limit', 'limited'],
  ['refusals', 'refused'],
])

/** What the requests of an alert are called: failing, slow, limited or refused. */
export function adjectiveOf(family: string | undefined): string {
  return ADJECTIVES.get(family) ?? 'failing'
}

/**
 * One line per difference, the most likely cause first: "Different: all 60 failing requests went to 10.0.0.7:9001 (32 %
 * of the good ones did)".
 */
export function differenceLines(comparison: Comparison, family: string | undefined): string[] {
  const adjective = adjectiveOf(family)
  return comparison.differences.map(difference => {
    const since = difference.newSinceMs === undefined ? '' : `, new since ${clock(difference.newSinceMs)} UTC`
    const others = difference.alsoKnownAs.slice(0, MAX_NAMES).map(nameOf)
    const same = others.length === 0 ? '' : `; the same requests: ${others.join(', ')}`
    const at = targetsInWords(difference)
    return `${failingInWords(comparison, difference, adjective)} ${inWords(difference)}${at} (${goodInWords(comparison, difference)}${since}${same})`
  })
}

/** Maximum other names of the same requests in a line. */
const MAX_NAMES = 3

/**
 * "all 60 failing requests", "58 of 60 failing requests"; of a sample only the share is known: "97 % of the failing
 * requests".
 */
function failingInWords({ failing, sampled }: Comparison, difference: NamedDifference, adjective: string): string {
  const { failingCount, failingShare } = difference
  if (sampled < failing) {
    return failingShare === 1 ? `all ${adjective} requests` : `${percent(failingShare)} of the ${adjective} requests`
  }
  return failingCount === failing
    ? `all ${failing} ${adjective} requests`
    : `${failingCount} of ${failing} ${adjective} requests`
}

/** " on 2 of 3 targets". */
function targetsInWords({ targets }: NamedDifference): string {
  return targets === undefined ? '' : ` on ${targets.having} of ${targets.of} targets`
}

/** "32 % of the good ones did". */
function goodInWords({ goodAre }: Comparison, { goodShare, shareBefore }: NamedDifference): string {
  const before = shareBefore === undefined ? '' : `, ${percent(shareBefore)} of those before`
  if (goodAre === 'of the time before') return `${percent(goodShare)} of the good ones before did`
  return goodShare === 0 ? `no good one did${before}` : `${percent(goodShare)} of the good ones did`
}

/** The phrase for requests with this value. */
export function inWords({ dimension, value }: Value): string {
  if (dimension.startsWith('header '))
    return `had ${value === 'present' ? 'a' : 'no'} ${dimension.slice('header '.length)} header`
  return PHRASES[dimension]?.(value) ?? `had ${dimension} ${value}`
}

/** The short name, such as "release 1.4.2". */
export function nameOf({ dimension, value }: Value): string {
  return `${NAMED[dimension] ?? dimension} ${value}`
}

/** Rounds to whole percent, but a share above zero is never 0 % and one below all is never 100 %. */
export function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`
  if (share < 0.01) return 'under 1 %'
  return share > 0.99 ? 'over 99 %' : `${Math.round(share * 100)} %`
}
