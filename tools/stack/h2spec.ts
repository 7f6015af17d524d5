import { createHash } from 'node:crypto'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BinaryMissing, defaultCacheFolder } from './binaries'
import { buildOnce, executable, findGo, isExecutable } from './go-build'

/** Go module that pins h2spec; compiled, this file is dist/tools/stack/h2spec.js. */
const FOLDER = resolve(__dirname, '../../../tools/h2spec')
const COMMAND = 'github.com/summerwind/h2spec/cmd/h2spec'

/** The result so far, failures included. */
let found: Promise<string> | undefined

/**
 * Finds h2spec, the conformance tests of HTTP/2: the one built earlier, else a new build in the user's cache folder, which
 * takes about a minute.
 *
 * @returns its path
 * @throws {BinaryMissing} if it is not available here; the message says how to get it.
 */
export function findH2spec(): Promise<string> {
  found ??= findOrBuild()
  return found
}

async function findOrBuild(): Promise<string> {
  const pins = await Promise.all(['go.mod', 'go.sum'].map(name => readFile(join(FOLDER, name), 'utf8')))
  const hash = createHash('sha256').update(pins.join('')).digest('hex').slice(0, 8)
  const target = join(defaultCacheFolder(), executable(`h2spec-${process.platform}-${process.arch}-${hash}`))
  if (await isExecutable(target)) return target
  const go = await findGo()
  if (go === undefined) throw new BinaryMissing('h2spec: no Go to build it with. Install Go: https://go.dev/dl/')
  try {
    await buildOnce({
      what: 'h2spec',
      go,
      target,
      log: line => process.stderr.write(`${line}\n`),
      isBuilt: async () => isExecutable(target),
      build: async (draft, step) => {
        const source = join(draft, 'source')
        await mkdir(source)
        for (const name of ['go.mod', 'go.sum', 'tools.go']) await cp(join(FOLDER, name), join(source, name))
        const program = join(draft, executable('h2spec'))
        await step('h2spec', go, ['build', '-trimpath', '-buildvcs=false', `-o=${program}`, COMMAND], { cwd: source })
        return program
      },
    })
  } catch (error) {
    throw new BinaryMissing(`h2spec: could not be built: ${String(error)}`, { cause: error })
  }
  return target
}
