import { createHash } from 'node:crypto'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BinaryMissing, defaultCacheFolder } from './binaries'
import { buildOnce, executable, findGo, isExecutable } from './go-build'

/** A program that is built from a Go module of this repository, which pins it and everything that it needs. */
export interface PinnedProgram {
  /** The name of the program, for people and files. */
  readonly name: string
  /** The folder with `go.mod`, `go.sum` and `tools.go`, relative to the root of the repository. */
  readonly folder: string
  /** The package of the command. */
  readonly command: string
  /** Go's linker flags: none keeps the names of symbols. */
  readonly linkerFlags?: string
}

/** Compiled, this file is dist/tools/stack/pinned-program.js. */
const ROOT = resolve(__dirname, '../../..')

/** The results so far, failures included, by name. */
const found = new Map<string, Promise<string>>()

/**
 * Finds a pinned program: the one built earlier, else a new build in the user's cache folder.
 *
 * @returns its path
 * @throws {BinaryMissing} if it is not available here; the message says how to get it.
 */
export function findPinned(program: PinnedProgram): Promise<string> {
  const known = found.get(program.name) ?? findOrBuild(program)
  found.set(program.name, known)
  return known
}

async function findOrBuild({ name, folder, command, linkerFlags = '' }: PinnedProgram): Promise<string> {
  const pins = await Promise.all(['go.mod', 'go.sum'].map(file => readFile(join(ROOT, folder, file), 'utf8')))
  const hash = createHash('sha256')
    .update(pins.join('') + linkerFlags)
    .digest('hex')
    .slice(0, 8)
  const target = join(defaultCacheFolder(), executable(`${name}-${process.platform}-${process.arch}-${hash}`))
  if (await isExecutable(target)) return target
  const go = await findGo()
  if (go === undefined) throw new BinaryMissing(`${name}: no Go to build it with. Install Go: https://go.dev/dl/`)
  try {
    await buildOnce({
      what: name,
      go,
      target,
      log: line => process.stderr.write(`${line}\n`),
      isBuilt: async () => isExecutable(target),
      build: async (draft, step) => {
        const source = join(draft, 'source')
        await mkdir(source)
        for (const file of ['go.mod', 'go.sum', 'tools.go']) await cp(join(ROOT, folder, file), join(source, file))
        const program = join(draft, executable(name))
        const flags = ['-trimpath', '-buildvcs=false', `-ldflags=${linkerFlags}`, `-o=${program}`]
        await step(name, go, ['build', ...flags, command], { cwd: source })
        return program
      },
    })
  } catch (error) {
    throw new BinaryMissing(`${name}: could not be built: ${String(error)}`, { cause: error })
  }
  return target
}
