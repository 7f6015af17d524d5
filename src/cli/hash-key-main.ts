import { createInterface } from 'node:readline'
import { hashApiKey, keyProblem, newApiKey } from './hash-key'

const USAGE = `npm run hash-key            reads a key from standard input
npm run hash-key -- --new   makes one
Prints the line for gateway.yaml. A key is never an argument: those are in the history of the shell and in ps.
`

/** `npm run hash-key`: what `gateway.yaml` keeps of an API key. */
async function main(args: readonly string[]): Promise<void> {
  const [option, ...others] = args
  if (others.length > 0 || (option !== undefined && option !== '--new')) return fail(USAGE)
  const isNew = option === '--new'
  const key = isNew ? newApiKey() : await firstLine()
  const problem = keyProblem(key)
  if (problem !== undefined) return fail(`${problem}\n`)
  if (isNew) process.stdout.write(`key (shown only once): ${key}\n`)
  process.stdout.write(`apiKeys: ["${hashApiKey(key)}"]\n`)
}

function fail(text: string): void {
  process.stderr.write(text)
  process.exitCode = 1
}

async function firstLine(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('key: ')
  for await (const line of createInterface({ input: process.stdin })) return line
  return ''
}

void main(process.argv.slice(2))
