import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { EXIT_USAGE } from '../config/exit-codes'
import { nearestName } from '../config/nearest-name'
import { toError } from '../errors/error-code'
import { VERSION } from '../process/version'

/** One command of `myesi-gateway`: its help, its arguments, and its action. */
export interface Command<Options extends ParseArgsOptionsConfig = ParseArgsOptionsConfig> {
  /** Begins with the command line. */
  readonly usage: string
  readonly options: Options
  readonly mostPositionals: number
  /** The message for too many arguments. */
  readonly tooMany?: string
  run(values: Values<Options>, positionals: readonly string[]): void | Promise<void>
}

type Values<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>['values']

const COMMON = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsOptionsConfig

export function defineCommand<const Options extends ParseArgsOptionsConfig>(command: Command<Options>): Command {
  // `runCommand` parses by these options, so `run` gets their values.
  return command
}

/** Runs a command with its arguments; prints help, version or argument errors, and exits. */
export async function runCommand(command: Command, args: readonly string[]): Promise<void> {
  endWithReader()
  const { values, positionals } = readArguments(command, args)
  if ('help' in values && values['help'] === true) return print(command.usage)
  if ('version' in values && values['version'] === true) return print(VERSION)
  if (positionals.length > command.mostPositionals) {
    endWithUsage(command.tooMany ?? `"${positionals[command.mostPositionals]}" is not expected.`, command.usage)
  }
  await command.run(values, positionals)
}

/** The option names of a command as typed on the command line. */
export function optionNames({ options }: Pick<Command, 'options'>): string[] {
  return Object.keys({ ...options, ...COMMON }).map(name => `--${name}`)
}

function readArguments(
  command: Command,
  args: readonly string[],
): { values: Values<ParseArgsOptionsConfig>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options: { ...command.options, ...COMMON }, allowPositionals: true })
  } catch (error) {
    const { code, message } = toError(error) as NodeJS.ErrnoException
    if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return endWithUsage(message, command.usage)
    const [, found = ''] = /'(-[^'\s]*)/.exec(message) ?? []
    return endWithUsage(`Unknown option ${found}${suggestion(found, optionNames(command))}`, command.usage)
  }
}

/** The suggestion for an unknown name, as the end of a sentence. */
export function suggestion(typed: string, names: Iterable<string>): string {
  const meant = nearestName(typed, names)
  return meant === undefined ? '.' : `; did you mean ${meant}?`
}

/** Exits without an error when the reader closes the pipe, as `head` does. */
function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit()
    })
  }
}

export function endWithUsage(problem: string, help: string): never {
  process.stderr.write(`${problem}\n\n${help}\n`)
  return process.exit(EXIT_USAGE)
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function counted({ length }: readonly unknown[], noun: string): string {
  return `${length} ${noun}${length === 1 ? '' : 's'}`
}

/** Formats rows in columns as wide as their widest cell; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
