import { processEnv } from '../config/env'
import { EXIT_CONFIG } from '../config/exit-codes'
import { readGatewayFile } from '../config/gateway-file'
import { formatProblems } from '../config/problems'
import { seriesBudget, totalLines } from './series-budget'

/** `npm run budget`: how many series the gateway can make at the most with its `gateway.yaml`, family by family. */
function main(): void {
  const env = processEnv()
  const file = env['GATEWAY_CONFIG'] || 'gateway.yaml'
  const { config, problems } = readGatewayFile(file, env)
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  if (!config) {
    process.exitCode = EXIT_CONFIG
    return
  }
  const budget = seriesBudget(config)
  const rows = budget.map(({ instrument, series, linesPerSeries, madeOf }) => [
    instrument,
    String(series),
    String(series * linesPerSeries),
    madeOf,
  ])
  const total = ['all together', '', String(totalLines(budget)), 'at the most, whatever clients and upstreams send']
  print(`${file}: ${config.routes.length} routes, ${config.upstreams.length} upstreams\n`)
  for (const row of [['instrument', 'series', 'lines', 'made of'], ...rows, total]) print(aligned(row))
  print('\nWhat the process says of itself comes on top: some 150 lines, however many requests there are.')
}

function aligned([instrument = '', series = '', lines = '', madeOf = '']: readonly string[]): string {
  return `${instrument.padEnd(34)}${series.padStart(8)}${lines.padStart(10)}  ${madeOf}`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

main()
