import { EXIT_CANNOT_CREATE, EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from '../config/exit-codes'
import { VERSION } from '../process/version'
import { endWithUsage, print, runCommand, suggestion, type Command } from './command'
import { makeCompletionCommand } from './completion'

interface CommandEntry {
  readonly summary: string
  /** Loads the command on use, so that `check` does not wait for the modules of the others. */
  readonly load: () => { readonly command: Command }
}

/* oxlint-disable typescript/no-require-imports -- `import()` would load Node's ESM loader first */
const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  start: { summary: 'starts the gateway (the default)', load: () => require('./commands/start') },
  init: { summary: 'writes a first gateway.yaml', load: () => require('./commands/init') },
  check: { summary: 'checks a gateway.yaml', load: () => require('./commands/check') },
  routes: { summary: 'prints the routes in the order in which they match', load: () => require('./commands/routes') },
  explain: {
    summary: 'shows what the gateway would do with a request, and why',
    load: () => require('./commands/explain'),
  },
  budget: { summary: 'computes how many metric series a file makes', load: () => require('./commands/budget') },
  'hash-key': { summary: 'makes the line of an API key for gateway.yaml', load: () => require('./commands/hash-key') },
  schema: { summary: 'prints the JSON Schema of gateway.yaml', load: () => require('./commands/schema') },
  monitoring: { summary: 'writes Prometheus rules and alerts', load: () => require('./commands/monitoring') },
  incidents: { summary: 'starts the incident service', load: () => require('./commands/incidents') },
  completion: {
    summary: 'prints a completion script for bash, zsh or fish',
    load: () => ({ command: completionCommand() }),
  },
}
/* oxlint-enable typescript/no-require-imports */

const WIDTH = Math.max(...Object.keys(COMMANDS).map(({ length }) => length))

const USAGE = `myesi-gateway [COMMAND] [ARGUMENTS]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(WIDTH)}  ${summary}`)
  .join('\n')}

  -h, --help     print this; after a command, its arguments
  -v, --version  print the version

Exit codes: 0 success, 1 negative result, ${EXIT_USAGE} invalid arguments, ${EXIT_OS_ERROR} error of the operating system,
${EXIT_CANNOT_CREATE} the file already exists, ${EXIT_CONFIG} invalid configuration or Node too old. Documentation: docs/install.md.`

/** Runs the command that the arguments name. */
export function main(args: readonly string[]): void {
  const [first = 'start', ...rest] = args
  if (first === '--help' || first === '-h') return print(USAGE)
  if (first === '--version' || first === '-v') return print(VERSION)
  if (first.startsWith('-')) {
    return endWithUsage(`Unknown option ${first}${suggestion(first, ['--help', '--version'])}`, USAGE)
  }
  const entry = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
  if (entry === undefined) {
    return endWithUsage(`There is no command "${first}"${suggestion(first, Object.keys(COMMANDS))}`, USAGE)
  }
  void runCommand(entry.load().command, rest)
}

function completionCommand(): Command {
  return makeCompletionCommand(() => Object.entries(COMMANDS).map(([name, entry]) => ({ name, ...entry })))
}
