/**
 * Ends a process whose Node is too old, with a clear message; `register.ts` imports it first. Otherwise undici, which
 * is loaded next, would end the process with a TypeError. (`tools/stack/require-node.ts` does the same for the scripts;
 * this folder does not import `src`.)
 */

/** As `engines` in package.json: older ones crash on a single request header (CVE-2026-21710). */
const LEAST: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  22: [22, 2],
  24: [14, 1],
  25: [8, 2],
}
const NEEDED = '22.22.2, 24.14.1, 25.8.2 or later'

/** `EX_CONFIG`: a restart does not help. */
const EXIT_CONFIG = 78

/** @returns the message for the user of this Node; undefined when the version is new enough. */
export function problemWithNode(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const [leastMinor, leastPatch] = LEAST[major] ?? (major > 25 ? [0, 0] : [Infinity, Infinity])
  if (minor > leastMinor || (minor === leastMinor && patch >= leastPatch)) return undefined
  return (
    `myesi-gateway does not start: this is Node ${version}, and it needs Node ${NEEDED}. ` +
    '"npm ci" brings one: node_modules/.bin/node'
  )
}

const problem = problemWithNode(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`)
  process.exit(EXIT_CONFIG)
}
