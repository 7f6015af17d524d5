import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { EXIT_CONFIG, EXIT_USAGE } from '../../config/exit-codes'
import { formatProblems } from '../../config/problems'
import { forecastText } from '../../slo/forecast-text'
import { installationFiles, sloFiles } from '../../slo/monitoring-files'
import { readMonitoringSettings, SHIPPED_SETTINGS, type MonitoringSettings } from '../../slo/monitoring-settings'
import { objectivesIn } from '../../slo/objectives'
import { UnfitSetting } from '../../slo/shipped-rules'
import { defineCommand, endWithUsage, print } from '../command'
import { fileOf, readConfig } from '../read-config'

const USAGE = `myesi-gateway monitoring [FILE] [--settings FILE] [--out FOLDER] [--check]

Writes Prometheus rules, alerts, error budgets and their promtool tests from the slo keys of a gateway.yaml, and says what
would page and when. Without FILE: the file in GATEWAY_CONFIG, or gateway.yaml.

  --settings FILE  names of jobs, labels, severities and receivers, thresholds and format of another installation
                   (docs/monitoring-of-your-own.md); needs --out
  --out FOLDER     writes a complete set for a Prometheus, Alertmanager and Grafana of your own: the shipped rules, the
                   route tree and the dashboards too. Without it: only what monitoring/rules/ of a clone holds
  --check          writes nothing; exit code 1 when the files there are others

Exit code: 0, 1 for --check, ${EXIT_CONFIG} when the gateway would not start with the file or the settings do not fit,
${EXIT_USAGE} for invalid arguments.`

/** Compiled, this file is dist/src/cli/commands/monitoring.js. */
const ROOT = resolve(__dirname, '../../../..')
const RULES = join(ROOT, 'monitoring/rules')

export const command = defineCommand({
  usage: USAGE,
  options: { settings: { type: 'string' }, out: { type: 'string' }, check: { type: 'boolean' } },
  mostPositionals: 1,
  tooMany: 'One file at a time.',
  async run(values, positionals) {
    if (values.settings !== undefined && values.out === undefined) endWithUsage('--settings needs --out.', USAGE)
    // Files written inside an installed package would be lost at the next installation.
    if (values.out === undefined && !existsSync(join(ROOT, 'src'))) {
      endWithUsage('--out is needed: this is an installed package, without a monitoring folder of yours.', USAGE)
    }
    const file = fileOf(positionals[0])
    const objectives = objectivesIn(await readConfig(file))
    const files = make(() =>
      values.out === undefined
        ? sloFiles(objectives, SHIPPED_SETTINGS)
        : installationFiles(objectives, settingsOf(values.settings)),
    )
    const folder = values.out ?? RULES
    if (values.check === true) return check(files, folder)
    for (const [name, text] of files) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    if (objectives.length === 0) print(`${file}: no route has an slo.`)
    else print(forecastText(objectives))
    print(`\n${[...files.keys()].map(name => shown(join(folder, name))).join('\n')}`)
  },
})

function settingsOf(path: string | undefined): MonitoringSettings {
  if (path === undefined) return SHIPPED_SETTINGS
  const { settings, problems } = readMonitoringSettings(path)
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  return settings ?? process.exit(EXIT_CONFIG)
}

function make(files: () => Map<string, string>): Map<string, string> {
  try {
    return files()
  } catch (error) {
    if (!(error instanceof UnfitSetting)) throw error
    process.stderr.write(`${error.message}\n`)
    return process.exit(EXIT_CONFIG)
  }
}

function check(files: ReadonlyMap<string, string>, folder: string): void {
  const others = [...files].filter(([name, text]) => readIfThere(join(folder, name)) !== text)
  for (const [name] of others) print(`${shown(join(folder, name))} is not what gateway.yaml makes: npm run monitoring`)
  process.exitCode = others.length > 0 ? 1 : 0
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function shown(path: string): string {
  return relative(process.cwd(), path) || path
}
