import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { BinaryMissing } from '../../tools/stack/binaries'

const run = promisify(execFile)

/** Runs a program to its end. @throws if it fails or takes more than a minute, with its output */
export async function runProgram(program: 'curl' | 'h2load', args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { timeout: 60_000, maxBuffer: 16_777_216 })
  return stdout
}

/** For `needsFound`: curl with HTTP/2, and h2load. @throws {BinaryMissing} */
export async function findHttp2Programs(): Promise<void> {
  const missing =
    'curl with HTTP/2 and h2load: not on the PATH. To get them: apt-get install curl nghttp2-client (Debian).'
  try {
    await runProgram('h2load', ['--version'])
    if (!/\bHTTP2\b/.test(await runProgram('curl', ['--version']))) throw new Error('curl without HTTP/2')
  } catch (error) {
    throw new BinaryMissing(missing, { cause: error })
  }
}
