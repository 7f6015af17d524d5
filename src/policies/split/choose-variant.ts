import type { Frozen } from '../../config/frozen'
import { cookieOf, setOwnCookie } from '../../exchange/cookies'
import { consumerOrClientKey } from '../../exchange/client-key'
import type { Exchange } from '../../exchange/exchange'
import { hashOf, mixed } from '../../upstream/hash'
import type { z } from 'zod'
import type { splitSchema } from './schema'

export type SplitConfig = Frozen<z.output<typeof splitSchema>>
export type VariantConfig = SplitConfig['variants'][number]

/** Returns the index of the variant for a request, and gives the client a cookie if it needs one. */
export type ChooseVariant = (exchange: Exchange) => number

/** A position that the gateway issued: 32 bits in hexadecimal. Any other value is replaced. */
const POSITION = /^[\da-f]{8}$/

export function createChoice({ variants, stickyBy, cookie }: SplitConfig): ChooseVariant {
  const weighted = new WeightedVariants(variants)
  return function chooseVariant(exchange) {
    const tested = testedVariant(variants, exchange)
    if (tested !== -1) return tested
    if (stickyBy === 'client') return weighted.at(hashOf(consumerOrClientKey(exchange)))
    const known = stickyBy === 'cookie' ? positionOf(exchange, cookie.name) : undefined
    if (known !== undefined) return weighted.at(known)
    const drawn = Math.floor(Math.random() * 2 ** 32)
    if (stickyBy === 'cookie') setOwnCookie(exchange, cookie, drawn.toString(16).padStart(8, '0'))
    return weighted.at(drawn)
  }
}

/** Returns the variant of a request as far as it can be known, and why; undefined if it would be drawn. */
export function foreseenVariant(
  { variants, stickyBy, cookie }: SplitConfig,
  exchange: Exchange,
): { readonly variant: VariantConfig; readonly why: string } | undefined {
  const found = (index: number, why: string) => ({ variant: variants[index] as VariantConfig, why })
  const tested = testedVariant(variants, exchange)
  if (tested !== -1) return found(tested, 'its match selects the request')
  const weighted = new WeightedVariants(variants)
  if (stickyBy === 'client') return found(weighted.at(hashOf(consumerOrClientKey(exchange))), 'by client')
  const known = stickyBy === 'cookie' ? positionOf(exchange, cookie.name) : undefined
  return known === undefined ? undefined : found(weighted.at(known), `by cookie ${cookie.name}`)
}

function positionOf(exchange: Exchange, cookie: string): number | undefined {
  const value = cookieOf(exchange, cookie)
  return value !== undefined && POSITION.test(value) ? Number.parseInt(value, 16) : undefined
}

/** Returns the index of the variant whose `match` selects the request; -1 if there is none. */
function testedVariant(variants: readonly VariantConfig[], exchange: Exchange): number {
  for (let i = 0; i < variants.length; i++) {
    const match = (variants[i] as VariantConfig).match
    if (match === undefined) continue
    for (const { name, value } of match.headers) {
      const lines = exchange.request.headersDistinct[name]
      if (lines?.length === 1 && lines[0] === value) return i
    }
    for (const { name, value } of match.cookies) if (cookieOf(exchange, name) === value) return i
  }
  return -1
}

/**
 * Weighted rendezvous hashing over the names of the variants: a larger weight takes clients from the others and moves no
 * other client, and no client returns to a variant while that one's share grows.
 */
class WeightedVariants {
  readonly #seeds: readonly number[]
  readonly #weights: readonly number[]

  constructor(variants: readonly VariantConfig[]) {
    this.#seeds = variants.map(({ name }) => hashOf(name))
    this.#weights = variants.map(({ weight }) => weight)
  }

  at(position: number): number {
    let best = 0
    let bestScore = -1
    for (let i = 0; i < this.#weights.length; i++) {
      const weight = this.#weights[i] as number
      if (weight === 0) continue
      // Strictly between 0 and 1, so that the logarithm is finite and not zero.
      const drawn = (mixed(position ^ (this.#seeds[i] as number)) + 0.5) / 2 ** 32
      const score = -weight / Math.log(drawn)
      if (score > bestScore) {
        best = i
        bestScore = score
      }
    }
    return best
  }
}
