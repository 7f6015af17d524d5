import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { findBinary, type BinaryName } from '../../tools/stack/binaries'
import { runProcess } from '../support/start-process'
import { ROOT } from './monitoring-files'

/** Runs a checking program from the root of the repository. @returns what it wrote; throws that when it fails. */
export async function runTool(name: BinaryName, ...args: readonly string[]): Promise<string> {
  return runToolAt((await findBinary(name)).path, ...args)
}

/** The same for a program that is not the one of the stack. */
export async function runToolAt(path: string, ...args: readonly string[]): Promise<string> {
  const name = basename(path)
  const { exit, lines } = await runProcess({ name, path, args, cwd: ROOT })
  const output = lines.join('\n')
  assert.equal(exit?.code, 0, `${name} ${args.join(' ')}\n${output}`)
  return output
}
