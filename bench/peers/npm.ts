import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ProcessSpec } from '../processes.ts'
import { exporting, row, type Environment } from '../subjects.ts'
import { ROOT, cacheFolder } from '../trees.ts'
import type { FindPeer } from './peer.ts'

export const npmPeers = {
  fastify: fromNpm('fastify', 'fastify + @fastify/http-proxy'),
  'http-proxy-middleware': fromNpm('http-proxy-middleware', 'Express + http-proxy-middleware'),
  'fast-gateway': fromNpm('fast-gateway', 'fast-gateway'),
} satisfies Record<string, FindPeer>

const BENCH = join(ROOT, 'bench')
const PACKAGE = ['package.json', 'package-lock.json']

function fromNpm(name: string, label: string): FindPeer {
  return async ({ upstreamUrl, sinkUrl }) => {
    const env = { BENCH_UPSTREAM: upstreamUrl, BENCH_PEERS: installedPackages() }
    const process = (name: string, preload: readonly string[], more: Environment): ProcessSpec => ({
      name,
      args: [...preload, join(BENCH, 'programs/npm-peer.ts'), name.replace('-observed', '')],
      env: { ...env, ...more },
    })
    // Telemetry as a team would add it: none of the three includes any.
    const register = join(ROOT, 'node_modules/@opentelemetry/auto-instrumentations-node/dist/register.cjs')
    const stock = {
      ...exporting(0.01),
      OTEL_EXPORTER_OTLP_ENDPOINT: `${sinkUrl}/${name}`,
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
      OTEL_LOGS_EXPORTER: 'none',
    }
    return {
      plain: row(name, label, process(name, [], {})),
      observed: row(
        `${name}-observed`,
        `${label}, stock OpenTelemetry`,
        process(`${name}-observed`, ['--require', register], stock),
      ),
    }
  }
}

/** Installs the dependencies of `bench/package.json` in the user's cache folder. */
function installedPackages(): string {
  const lock = createHash('sha256')
    .update(readFileSync(join(BENCH, 'package-lock.json')))
    .digest('hex')
  const folder = join(cacheFolder(), `npm-${lock.slice(0, 12)}`)
  if (existsSync(folder)) return folder
  mkdirSync(dirname(folder), { recursive: true })
  const draft = mkdtempSync(`${folder}.draft-`)
  for (const file of PACKAGE) copyFileSync(join(BENCH, file), join(draft, file))
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: draft,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  renameSync(draft, folder)
  return folder
}
