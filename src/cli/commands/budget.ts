import { EXIT_CONFIG, EXIT_USAGE } from '../../config/exit-codes'
import { PROCESS_LINES, seriesBudget, totalLines, TYPICAL, typicalLines } from '../../operations/series-budget'
import { counted, defineCommand, print } from '../command'
import { fileOf, readConfig } from '../read-config'

const USAGE = `myesi-gateway budget [--body-sizes] [FILE]

Computes how many lines a scrape of a gateway with a gateway.yaml has: with ordinary traffic, and at most, family by family. Without FILE: the
file in GATEWAY_CONFIG, or gateway.yaml. With --body-sizes: as it is with TELEMETRY_BODY_SIZES=true.

Exit code: 0, ${EXIT_CONFIG} when the gateway would not start with the file, ${EXIT_USAGE} for invalid arguments.`

export const command = defineCommand({
  usage: USAGE,
  options: { 'body-sizes': { type: 'boolean' } },
  mostPositionals: 1,
  tooMany: 'One file at a time.',
  async run(values, positionals) {
    const file = fileOf(positionals[0])
    const config = await readConfig(file)
    const budget = seriesBudget(config, { bodySizes: values['body-sizes'] === true })
    const rows = budget.map(({ instrument, series, typicalSeries, linesPerSeries, madeOf }) => [
      instrument,
      String(typicalSeries * linesPerSeries),
      String(series),
      String(series * linesPerSeries),
      madeOf,
    ])
    const typical = String(typicalLines(budget))
    const most = String(totalLines(budget) + PROCESS_LINES)
    const ofProcess = [
      'process, runtime and SDK',
      String(PROCESS_LINES),
      '',
      String(PROCESS_LINES),
      'about, whatever the traffic',
    ]
    const total = ['total', typical, '', most, 'the last column is the upper bound for any traffic']
    print(`${file}: ${counted(config.routes, 'route')}, ${counted(config.upstreams, 'upstream')}\n`)
    for (const row of [
      ['instrument', 'typical lines', 'most series', 'most lines', 'made of'],
      ...rows,
      ofProcess,
      total,
    ])
      print(aligned(row))
    print(
      `\nA scrape has about ${typical} lines with ordinary traffic: ${TYPICAL.methods} methods of each route over HTTP/1.1, each with a good answer ` +
        `and one failure. At most it has ${most}, with every method, version, status and reason on every route.`,
    )
  },
})

function aligned([instrument = '', typical = '', series = '', lines = '', madeOf = '']: readonly string[]): string {
  return `${instrument.padEnd(34)}${typical.padStart(13)}${series.padStart(13)}${lines.padStart(12)}  ${madeOf}`
}
