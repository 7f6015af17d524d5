/**
 * Imported first by `register.ts`: ends a process whose Node is too old, in words. Else undici, which is loaded a moment later,
 * ends it with a TypeError. (`tools/stack/require-node.ts` does the same for the scripts; nothing here knows `src`.)
 */

/** As `engines` in package.json. */
const NEEDED = [22, 19] as const

/** `EX_CONFIG`: a restart changes nothing. */
const EXIT_CONFIG = 78

/** @returns what to tell the user of this Node; undefined when it is new enough. */
export function problemWithNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return undefined
  return (
    `myesi-gateway does not start: this is Node ${version}, and it needs Node ${NEEDED.join('.')} or later. ` +
    '"npm ci" brings one: node_modules/.bin/node'
  )
}

const problem = problemWithNode(process.versions.node)
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`)
  process.exit(EXIT_CONFIG)
}
