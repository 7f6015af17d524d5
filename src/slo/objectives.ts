import { createHash } from 'node:crypto'
import type { GatewayConfig } from '../config/gateway-config'
import { DURATION_BUCKETS_S } from '../telemetry/semconv'
import type { SloConfig } from './slo-schema'

/** A service level objective of one route: a share of good requests over a window. */
export interface Objective {
  /** Template of the route, the `http_route` label. */
  readonly route: string
  readonly slo: 'availability' | 'latency'
  /** Percent of good requests, such as 99.9. */
  readonly target: number
  /** Seconds that a good request may take; only for latency. */
  readonly thresholdS: number | undefined
  /** Length of the period the error budget is for. */
  readonly windowMs: number
}

export interface RouteWithSlo {
  readonly template: string
  readonly slo: SloConfig | undefined
}

/** Returns the objectives of the routes in a file. */
export function objectivesIn({ routes }: Pick<GatewayConfig, 'routes'>): Objective[] {
  return objectivesOf(routes.map(({ match, slo }) => ({ template: match.path, slo })))
}

/** All objectives, sorted by route, so that the same file always gives the same rules. */
export function objectivesOf(routes: readonly RouteWithSlo[]): Objective[] {
  const found = new Map<string, Objective>()
  for (const { template: route, slo } of routes) {
    if (slo === undefined) continue
    const { availability, latency, window: windowMs } = slo
    if (availability !== undefined) {
      addStricter(found, { route, slo: 'availability', target: availability, thresholdS: undefined, windowMs })
    }
    if (latency !== undefined) {
      const { threshold, target } = latency
      addStricter(found, { route, slo: 'latency', target, thresholdS: threshold / 1_000, windowMs })
    }
  }
  return [...found.values()].toSorted((a, b) => compareText(a.route, b.route) || compareText(a.slo, b.slo))
}

/**
 * Adds an objective. Routes that differ only in host or method share metric series, so the stricter objective applies.
 */
function addStricter(found: Map<string, Objective>, objective: Objective): void {
  const key = `${objective.slo} ${objective.route}`
  const other = found.get(key)
  if (other === undefined || objective.target > other.target) found.set(key, objective)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Part of the objectives that is allowed to fail: 0.001 for 99.9 %. */
export function errorBudget({ target }: Pick<Objective, 'target'>): number {
  return Number(((100 - target) / 100).toPrecision(12))
}

/** Identifies a set of objectives: the rules in Prometheus carry it, the gateway reports it, an alert compares both. */
export function objectivesHash(objectives: readonly Objective[]): string {
  return createHash('sha256').update(JSON.stringify(objectives)).digest('hex').slice(0, 16)
}

/** Thresholds that must be boundaries of the duration histogram, or the latency objective cannot be computed. */
export function latencyThresholds(objectives: readonly Objective[]): number[] {
  return [...new Set(objectives.flatMap(({ thresholdS }) => thresholdS ?? []))].toSorted((a, b) => a - b)
}

/** More boundaries than these would make every scrape of every route longer. */
export const MAX_OWN_BOUNDARIES = 8

/** The boundaries of the duration histogram in seconds, with those that these objectives need. */
export function durationBoundaries(objectives: readonly Objective[]): readonly number[] {
  return [...new Set([...DURATION_BUCKETS_S, ...latencyThresholds(objectives)])].toSorted((a, b) => a - b)
}
