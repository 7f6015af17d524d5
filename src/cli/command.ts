import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { processEnv } from '../config/env'
import { EXIT_CONFIG, EXIT_USAGE } from '../config/exit-codes'
import { readGatewayFile } from '../config/gateway-file'
import { formatProblems } from '../config/problems'
import type { GatewayConfig } from '../config/gateway-config'
import { toError } from '../errors/error-code'

const HELP = { help: { type: 'boolean', short: 'h' } } as const satisfies ParseArgsOptionsConfig

/** The arguments of a command; prints its help, or what is wrong with them, and ends. */
export function readArguments<Options extends ParseArgsOptionsConfig>(help: string, options: Options) {
  endWithReader()
  try {
    const parsed = parseArgs({ options: { ...options, ...HELP }, allowPositionals: true })
    if (!('help' in parsed.values && parsed.values.help)) return parsed
    print(help)
    return process.exit(0)
  } catch (error) {
    return endWithUsage(toError(error).message, help)
  }
}

/** Whoever reads may have enough of it, as `head` does: that is no failure. */
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

/** The file that is named, else the one that the gateway would read. */
export function fileOf(named: string | undefined): string {
  return named ?? (processEnv()['GATEWAY_CONFIG'] || 'gateway.yaml')
}

/** Its content; prints what is wrong with it, and ends where the gateway would not start. */
export async function readConfig(file: string): Promise<GatewayConfig> {
  const { config, problems } = await readGatewayFile(file, processEnv())
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  return config ?? process.exit(EXIT_CONFIG)
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function counted({ length }: readonly unknown[], noun: string): string {
  return `${length} ${noun}${length === 1 ? '' : 's'}`
}

/** Columns as wide as their widest cell, the last one as it is. */
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
