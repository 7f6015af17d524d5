import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { processEnv } from '../../config/env'
import { EXIT_CANNOT_CREATE, EXIT_USAGE } from '../../config/exit-codes'
import { parseGatewayFile } from '../../config/gateway-file'
import { formatProblems } from '../../config/problems'
import { toError } from '../../errors/error-code'
import { defineCommand, endWithUsage, print } from '../command'
import { firstGatewayFile, type Answers } from '../first-gateway-file'

const DEFAULTS: Answers = { upstream: 'http://127.0.0.1:9001', path: '/api', limit: '100' }

const QUESTIONS: Answers = {
  upstream: 'Where do requests go?',
  path: 'Which path do they have?',
  limit: 'How many requests per minute for each client (0: no limit)?',
}

/** Nothing was decided: the questions were not answered. */
const EXIT_ABORTED = 1

const USAGE = `myesi-gateway init [--upstream URL] [--path PATH] [--limit N] [--file FILE]

Writes a first gateway.yaml, with comments. On a terminal it asks for every value without an option; elsewhere it uses the
defaults. It never changes an existing file.

  --upstream URL  where requests go; default ${DEFAULTS.upstream}
  --path PATH     which requests: this path and everything below it; default ${DEFAULTS.path}
  --limit N       requests per minute for each client, 0 for no limit; default ${DEFAULTS.limit}
  --file FILE     default gateway.yaml

Exit code: 0, ${EXIT_ABORTED} when the questions are aborted, ${EXIT_CANNOT_CREATE} when the file already exists or cannot be written,
${EXIT_USAGE} for invalid arguments.`

export const command = defineCommand({
  usage: USAGE,
  options: {
    upstream: { type: 'string' },
    path: { type: 'string' },
    limit: { type: 'string' },
    file: { type: 'string', default: 'gateway.yaml' },
  },
  mostPositionals: 0,
  async run({ file, upstream, path, limit }) {
    // Checked before the questions are asked; the write below still fails if the file appears meanwhile.
    if (existsSync(file)) return refuse(`${file} already exists.`)
    const answers = await answersTo({ upstream, path, limit })
    if (answers === undefined) {
      process.stderr.write(`\n${file} was not written.\n`)
      process.exitCode = EXIT_ABORTED
      return
    }
    const text = firstGatewayFile(answers, schemaPath(file))
    const { config, problems } = parseGatewayFile(text, file, processEnv())
    if (config === undefined) return endWithUsage(formatProblems(problems).trimEnd(), USAGE)
    try {
      writeFileSync(file, text, { flag: 'wx' })
    } catch (error) {
      return refuse(`${file} cannot be written: ${toError(error).message}`)
    }
    const { limit: perMinute } = answers
    const limited = Number(perMinute) === 0 ? 'no limit' : `${perMinute} requests per minute for each client`
    print(
      `${file} written: ${answers.path} → ${answers.upstream}, ${limited}. Next:\n\n  npx myesi-gateway check\n  npx myesi-gateway`,
    )
  },
})

function refuse(problem: string): void {
  process.stderr.write(`${problem}\n`)
  process.exitCode = EXIT_CANNOT_CREATE
}

/** @returns undefined if the questions were aborted: Ctrl-C, Ctrl-D, or the end of the input */
async function answersTo(given: { readonly [Name in keyof Answers]: string | undefined }): Promise<
  Answers | undefined
> {
  if (!process.stdin.isTTY) return answered(given, DEFAULTS)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // The lines as they come, and not `question`: that loses all but the first of several lines that are pasted.
  const lines = terminal[Symbol.asyncIterator]()
  const found = { ...given }
  try {
    for (const name of ['upstream', 'path', 'limit'] as const) {
      if (found[name] !== undefined) continue
      terminal.setPrompt(`${QUESTIONS[name]} [${DEFAULTS[name]}] `)
      terminal.prompt()
      const { value, done } = await lines.next()
      if (done === true) return undefined
      found[name] = value.trim() || DEFAULTS[name]
    }
  } finally {
    terminal.close()
  }
  return answered(found, DEFAULTS)
}

function answered(given: { readonly [Name in keyof Answers]: string | undefined }, defaults: Answers): Answers {
  return {
    upstream: given.upstream ?? defaults.upstream,
    path: given.path ?? defaults.path,
    limit: given.limit ?? defaults.limit,
  }
}

/** Path of the schema for editors, relative to the file; undefined if the package is not installed beside it. */
function schemaPath(file: string): string | undefined {
  const schema = join('node_modules', 'myesi-gateway', 'docs', 'gateway.schema.json')
  if (!existsSync(schema)) return undefined
  return relative(dirname(resolve(file)), resolve(schema)).replaceAll('\\', '/')
}
