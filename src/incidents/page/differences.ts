import { adjectiveOf, differenceLines } from '../evidence/comparison/wording'
import type { IncidentAlert } from '../record/incident'

/**
 * What distinguishes failing from good requests, in words, of all alerts of an incident. Several alerts about the same
 * requests say the same with other counts: the one that compared most failing requests speaks for them.
 */
export function differencesOf(alerts: readonly Pick<IncidentAlert, 'evidence' | 'labels'>[]): string[] {
  const said = new Map<string, { readonly failing: number; readonly line: string }>()
  for (const { evidence, labels } of alerts) {
    const comparison = evidence?.comparison
    if (comparison === undefined) continue
    const lines = differenceLines(comparison, labels['family'])
    for (const [index, { dimension, value }] of comparison.differences.entries()) {
      const key = `${adjectiveOf(labels['family'])}\n${dimension}\n${value}`
      const known = said.get(key)
      if (known !== undefined && known.failing >= comparison.failing) continue
      said.set(key, { failing: comparison.failing, line: lines[index] ?? '' })
    }
  }
  return [...said.values()].map(({ line }) => line)
}
