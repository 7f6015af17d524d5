import { mistake } from '../../config/values/parsed'
import type { ConfigProblem } from '../../config/types'
import { definePolicy } from '../define-policy'
import { createChoice, type SplitConfig, type VariantConfig } from './choose-variant'
import { splitSchema } from './schema'

/** Splits the requests of a route over several upstreams. */
export const split = definePolicy({
  name: 'split',
  schema: splitSchema.optional(),
  example: `
# A canary: 5 % of the clients, and testers, get the next release.
- name: shop
  match: { path: /shop }
  split:
    variants:
      - { name: stable, upstream: web, weight: 95 }
      - name: canary
        upstream: web-next
        weight: 5
        match: { headers: { x-canary: always }, cookies: { canary: '1' } }
    stickyBy: cookie
    cookie: { name: shop-variant, ttl: 7d }
`,
  choosesUpstream: true,
  upstreams: ({ variants }) =>
    variants.map(({ upstream }, index) => ({ name: upstream, at: ['variants', index, 'upstream'] })),
  check(written, context) {
    if (written === undefined) return []
    const problems: ConfigProblem[] = []
    const { variants } = written
    for (const [index, { name, weight, match }] of variants.entries()) {
      if (variants.findIndex(other => other.name === name) < index) {
        problems.push(context.problem(['variants', index, 'name'], mistake('appears twice', 'each name once')))
      }
      const isTested = match !== undefined && match.headers.length + match.cookies.length > 0
      if (weight === 0 && !isTested) {
        const useless = mistake(
          'gives the variant no requests, because it has no "match"',
          'a weight above 0, or a "match"',
        )
        problems.push({ ...context.problem(['variants', index, 'weight'], useless), severity: 'warning' })
      }
      if (match !== undefined && !isTested) {
        problems.push(
          context.problem(['variants', index, 'match'], mistake('has nothing in it', '"headers" or "cookies"')),
        )
      }
    }
    if (variants.every(({ weight }) => weight === 0)) {
      problems.push(context.problem(['variants'], mistake('has no weight above 0', 'at least one weight above 0')))
    }
    const isCookieUseless = written.stickyBy !== 'cookie' && context.valueAt('cookie') !== undefined
    const useless = mistake(`has no effect with stickyBy: ${written.stickyBy}`, 'stickyBy: cookie, or no "cookie"')
    return isCookieUseless ? [...problems, context.problemAtKey(['cookie'], useless)] : problems
  },
  create: config => ({ chooseVariant: createChoice(config) }),
  describe: config => [{ about: 'answer', text: splitText(config) }],
})

function splitText({ variants, stickyBy }: SplitConfig): string {
  const shares = variants.map(variant => `${shareText(variant, variants)} to ${variant.name} (${variant.upstream})`)
  return `${shares.join(', ')}; ${stickyBy === 'none' ? 'each request is drawn' : `sticky by ${stickyBy}`}`
}

/** Formats the share of a variant: `5 %`, or `testers only`. */
export function shareText(
  { weight }: Pick<VariantConfig, 'weight'>,
  variants: readonly Pick<VariantConfig, 'weight'>[],
): string {
  if (weight === 0) return 'testers only'
  const total = variants.reduce((sum, variant) => sum + variant.weight, 0)
  return `${Number(((100 * weight) / total).toPrecision(3))} %`
}
