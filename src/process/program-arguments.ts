import { parseArgs } from 'node:util'
import { EXIT_USAGE } from '../config/exit-codes'
import { toError } from '../errors/error-code'
import { VERSION } from './version'

/**
 * Answers `--help` and `--version`, and refuses every other argument: a program that ignored a file name would start with
 * another file. Ends the process in all these cases.
 *
 * @param help usage text
 * @param onPositional advice for a positional argument
 */
export function answerArguments(help: string, onPositional: (found: string) => string): void {
  const parsed = readArguments()
  if ('problem' in parsed) return refuse(parsed.problem)
  const { values, positionals } = parsed
  const [first] = positionals
  if (first !== undefined) return refuse(`"${first}" is not an argument of this program: ${onPositional(first)}`)
  if (values.help) return answer(help)
  if (values.version) answer(VERSION)

  function refuse(problem: string): void {
    process.stderr.write(`${problem}\n\n${help}\n`)
    process.exit(EXIT_USAGE)
  }
}

function readArguments() {
  try {
    return parseArgs({
      options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } },
      allowPositionals: true,
    })
  } catch (error) {
    return { problem: toError(error).message }
  }
}

function answer(text: string): void {
  process.stdout.write(`${text}\n`)
  process.exit(0)
}
