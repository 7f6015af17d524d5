import { createInterface } from 'node:readline'
import { EXIT_USAGE } from '../../config/exit-codes'
import { defineCommand, endWithUsage, print } from '../command'
import { hashApiKey, keyProblem, newApiKey } from '../hash-key'

const USAGE = `myesi-gateway hash-key [--new]

Reads an API key from standard input and prints its line for gateway.yaml. A key is never an argument: those are in the
history of the shell and in ps.

  --new   makes a key, and prints it once together with its line

Exit code: 0, 1 for a key that could be guessed, ${EXIT_USAGE} for arguments that will not do.`

export const command = defineCommand({
  usage: USAGE,
  options: { new: { type: 'boolean' } },
  mostPositionals: Infinity, // rejected below, without printing the key
  async run(values, positionals) {
    if (positionals.length > 0) endWithUsage('A key is never an argument.', USAGE)
    const key = values.new ? newApiKey() : await firstLine()
    const problem = keyProblem(key)
    if (problem !== undefined) {
      process.stderr.write(`${problem}\n`)
      process.exitCode = 1
      return
    }
    if (values.new) print(`key (shown only once): ${key}`)
    print(`apiKeys: ["${hashApiKey(key)}"]`)
  },
})

async function firstLine(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('key: ')
  for await (const line of createInterface({ input: process.stdin })) return line
  return ''
}
