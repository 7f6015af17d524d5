import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface MonitoringCopyOptions {
  /** An empty folder; Prometheus and Alertmanager are started with the files in it. */
  readonly folder: string
  /** Replacements of addresses and files in the shipped files: `gateway:9464` → `127.0.0.1:40123`. */
  readonly replacements: Readonly<Record<string, string>>
  /** Applied to each YAML file afterwards; for tests that shorten durations. */
  readonly transform?: (text: string) => string
}

/** How prometheus.yml finds the gateways by the name of their containers; to be replaced by `scrapedAt(…)`. */
export const GATEWAYS_BY_NAME = 'dns_sd_configs: [{ names: [gateway], type: A, port: 9464, refresh_interval: 5s }]'

/** The same with given addresses, such as `127.0.0.1:40123`. */
export function scrapedAt(...addresses: readonly string[]): string {
  return `static_configs: [{ targets: [${addresses.map(address => `'${address}'`).join(', ')}] }]`
}

/** Compiled, this file is dist/tools/stack/monitoring-copy.js. */
const SHIPPED = resolve(__dirname, '../../../monitoring')

/**
 * Copies the shipped monitoring files for a run on this machine, with replaced host names and secret files.
 *
 * @throws if a name to replace is not found: then the shipped files have changed, and the copy would scrape nothing
 */
export function copyMonitoring({ folder, replacements, transform = text => text }: MonitoringCopyOptions): void {
  cpSync(SHIPPED, folder, { recursive: true })
  const unused = new Set(Object.keys(replacements))
  for (const file of yamlFiles(folder)) {
    let text = readFileSync(file, 'utf8')
    for (const [name, here] of Object.entries(replacements)) {
      if (!text.includes(name)) continue
      text = text.replaceAll(name, here)
      unused.delete(name)
    }
    writeFileSync(file, transform(text))
  }
  if (unused.size > 0) throw new Error(`stands in no monitoring file: ${[...unused].join(', ')}`)
}

/** The files that Prometheus and Alertmanager read; Grafana reads its own. */
function yamlFiles(folder: string): string[] {
  return ['.', 'rules']
    .map(name => join(folder, name))
    .filter(path => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    .flatMap(path => readdirSync(path).map(name => join(path, name)))
    .filter(path => path.endsWith('.yml'))
}
