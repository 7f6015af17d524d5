/** Node's security release of October 2026, by release line. */
const PATCHED: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  22: [23, 4],
  24: [22, 1],
  26: [12, 1],
}
const NEWEST = 26

/** Returns a warning if this version of Node misses known security fixes or its release line has ended. */
export function nodeWarning(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (major > NEWEST) return undefined
  const [leastMinor, leastPatch] = PATCHED[major] ?? [Infinity, 0]
  if (minor > leastMinor || (minor === leastMinor && patch >= leastPatch)) return undefined
  const lines = Object.entries(PATCHED).map(([line, parts]) => [line, ...parts].join('.'))
  return `Node ${version} lacks security fixes: ${lines.join(', ')} or later of these lines has them`
}
