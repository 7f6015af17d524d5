import { EXIT_CONFIG, EXIT_USAGE } from '../config/exit-codes'
import { seriesBudget, totalLines } from '../operations/series-budget'
import { counted, endWithUsage, fileOf, print, readArguments, readConfig } from './command'

const USAGE = `npm run budget -- [FILE]

Computes how many metric series a gateway can make at the most with a gateway.yaml, family by family. Without FILE: the
one that GATEWAY_CONFIG names, else gateway.yaml.

Exit code: 0, ${EXIT_CONFIG} when the gateway would not start with the file, ${EXIT_USAGE} for arguments that will not do.`

async function main(): Promise<void> {
  const { positionals } = readArguments(USAGE, {})
  if (positionals.length > 1) endWithUsage('One file at a time.', USAGE)
  const file = fileOf(positionals[0])
  const config = await readConfig(file)
  const budget = seriesBudget(config)
  const rows = budget.map(({ instrument, series, linesPerSeries, madeOf }) => [
    instrument,
    String(series),
    String(series * linesPerSeries),
    madeOf,
  ])
  const total = ['all together', '', String(totalLines(budget)), 'at the most, whatever clients and upstreams send']
  print(`${file}: ${counted(config.routes, 'route')}, ${counted(config.upstreams, 'upstream')}\n`)
  for (const row of [['instrument', 'series', 'lines', 'made of'], ...rows, total]) print(aligned(row))
  print('\nWhat the process says of itself comes on top: some 150 lines, however many requests there are.')
}

function aligned([instrument = '', series = '', lines = '', madeOf = '']: readonly string[]): string {
  return `${instrument.padEnd(34)}${series.padStart(8)}${lines.padStart(10)}  ${madeOf}`
}

void main()
