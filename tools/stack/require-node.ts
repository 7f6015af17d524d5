/**
 * Imported first by what scripts start: ends a process whose Node is too old, in words. Else the first module that needs a
 * newer one fails with a riddle. `npm ci` brings a Node for the scripts, but not with `--ignore-scripts`, nor for
 * `node dist/…` by hand.
 */

/** As `engines` in package.json. */
const NEEDED = [22, 19] as const

/** @returns what to tell the user of this Node; undefined when it is new enough. */
export function problemWithNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return undefined
  return (
    `This is Node ${version}; Node ${NEEDED.join('.')} or later is needed. "npm ci" brings one for "npm start" and the ` +
    'other scripts (after "npm ci --ignore-scripts", "npm rebuild" puts it in place), or install it from https://nodejs.org.'
  )
}

const problem = problemWithNode(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
