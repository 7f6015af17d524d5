/**
 * Ends a process whose Node is too old, with a clear message; scripts import it first. Otherwise the first module that
 * needs a newer one fails with an obscure error. `npm ci` installs a Node for the scripts, but not with
 * `--ignore-scripts`, nor for `node dist/…` by hand.
 */

/** As `engines` in package.json: older ones crash on a single request header (CVE-2026-21710). */
const LEAST: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  22: [22, 2],
  24: [14, 1],
  25: [8, 2],
}
const NEEDED = '22.22.2, 24.14.1, 25.8.2 or later'

/** @returns the message for the user of this Node; undefined when the version is new enough. */
export function problemWithNode(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const [leastMinor, leastPatch] = LEAST[major] ?? (major > 25 ? [0, 0] : [Infinity, Infinity])
  if (minor > leastMinor || (minor === leastMinor && patch >= leastPatch)) return undefined
  return (
    `This is Node ${version}; Node ${NEEDED} is needed. "npm ci" brings one for "npm start" and the ` +
    'other scripts (after "npm ci --ignore-scripts", "npm rebuild" puts it in place), or install it from https://nodejs.org.'
  )
}

const problem = problemWithNode(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
