import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BinaryMissing, defaultCacheFolder } from '../../tools/stack/binaries'
import { executable, findGo, isExecutable } from '../../tools/stack/go-build'
import { buildModule, moduleFolder, type GoModule } from '../../tools/stack/module-build'

const GRPCURL: GoModule = {
  title: 'grpcurl',
  name: 'grpcurl',
  path: 'github.com/fullstorydev/grpcurl',
  moduleVersion: 'v1.9.3',
  version: '1.9.3',
  programs: ['grpcurl'],
  tags: [],
  missingFiles: {},
}

/** Path of grpcurl, built from its Go module at the first use. */
async function findGrpcurl(): Promise<string> {
  const target = join(defaultCacheFolder(), moduleFolder(GRPCURL))
  const path = join(target, executable('grpcurl'))
  if (await isExecutable(path)) return path
  const go = await findGo()
  if (go === undefined) throw new BinaryMissing('grpcurl: no Go to build it with')
  await buildModule(GRPCURL, { go, target, log: line => process.stderr.write(`${line}\n`) })
  return path
}

/** For a suite that runs grpcurl: `before(needsGrpcurl)`. */
export async function needsGrpcurl(this: Mocha.Context): Promise<void> {
  this.timeout(20 * 60_000)
  try {
    await findGrpcurl()
  } catch (error) {
    if (!(error instanceof BinaryMissing) || process.env['CI'] === 'true') throw error
    this.skip()
  }
}

export interface CommandResult {
  readonly code: number
  readonly output: string
}

export async function grpcurl(...args: readonly string[]): Promise<CommandResult> {
  try {
    const { stdout } = await promisify(execFile)(await findGrpcurl(), [...args], { timeout: 30_000 })
    return { code: 0, output: stdout }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string }
    return { code: code ?? -1, output: `${stdout}${stderr}` }
  }
}
