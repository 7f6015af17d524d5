import * as fc from 'fast-check'
import { SEED } from './settings'

/** Checks a property with the seed of the run; what fails is printed as the smallest input found. */
export function holds<T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>, runs = 1_000): void {
  fc.assert(property, { seed: SEED, numRuns: runs })
}
