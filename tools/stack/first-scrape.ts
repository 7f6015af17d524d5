import { setTimeout as delay } from 'node:timers/promises'

/** Prometheus finds its targets within 5 s and scrapes each once in 15 s. */
const FIRST_SCRAPE_TIMEOUT_MS = 45_000

/**
 * Waits until Prometheus has scraped every target once. A failure before the first scrape is part of a counter's first
 * value, not an increase, so no alert would see it.
 *
 * @returns the targets that are not up; usually none
 */
export async function firstScrape(prometheusUrl: string, signal: AbortSignal): Promise<readonly string[]> {
  const deadline = Date.now() + FIRST_SCRAPE_TIMEOUT_MS
  for (;;) {
    const down = await targetsDown(prometheusUrl).catch(() => ['Prometheus'])
    if (down.length === 0 || Date.now() > deadline || signal.aborted) return down
    await delay(250, undefined, { signal }).catch(() => undefined)
  }
}

async function targetsDown(prometheusUrl: string): Promise<string[]> {
  const response = await fetch(`${prometheusUrl}/api/v1/targets?state=active`, { signal: AbortSignal.timeout(1_000) })
  const { data } = (await response.json()) as {
    data: { activeTargets: { health: string; labels: { job: string; instance: string } }[] }
  }
  if (data.activeTargets.length === 0) return ['all of them']
  return data.activeTargets
    .filter(({ health }) => health !== 'up')
    .map(({ labels: { job, instance } }) => `${job} (${instance})`)
}
