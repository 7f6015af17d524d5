import { createInterface } from 'node:readline'
import { EXIT_USAGE } from '../../config/exit-codes'
import { defineCommand, endWithUsage, print } from '../command'
import { hashApiKey, hashPassword, keyProblem, newApiKey, passwordProblem } from '../hash-key'

const USAGE = `myesi-gateway hash-key [--new | --password]

Reads an API key or a password from standard input and prints its line for gateway.yaml. Neither is ever an argument:
those are in the history of the shell and in ps.

  --new        makes a key, and prints it once together with its line
  --password   reads a password of a user for Basic authentication

Exit code: 0, 1 for a key or password that could be guessed, ${EXIT_USAGE} for invalid arguments.`

export const command = defineCommand({
  usage: USAGE,
  options: { new: { type: 'boolean' }, password: { type: 'boolean' } },
  mostPositionals: Infinity, // rejected below, without printing the key
  async run(values, positionals) {
    if (positionals.length > 0) endWithUsage('A key is never an argument.', USAGE)
    if (values.password) {
      if (values.new) endWithUsage('--new makes keys, not passwords.', USAGE)
      const password = await firstLine('password')
      const weakness = passwordProblem(password)
      if (weakness === undefined) return print(`users: { NAME: "${hashPassword(password)}" }`)
      process.stderr.write(`${weakness}\n`)
      process.exitCode = 1
      return
    }
    const key = values.new ? newApiKey() : await firstLine('key')
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

async function firstLine(what: string): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write(`${what}: `)
  for await (const line of createInterface({ input: process.stdin })) return line
  return ''
}
