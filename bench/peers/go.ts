import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort } from '../free-port.ts'
import { onPath } from '../on-path.ts'
import type { ProcessSpec } from '../processes.ts'
import { exporting, row, type Environment } from '../subjects.ts'
import { cacheFolder } from '../trees.ts'
import type { FindPeer } from './find.ts'

export const goPeers = { Traefik: findTraefik, Caddy: findCaddy } satisfies Record<string, FindPeer>

const TRAEFIK = { name: 'traefik', module: 'github.com/traefik/traefik/v3@v3.7.13' }
const CADDY = { name: 'caddy', module: 'github.com/caddyserver/caddy/v2@v2.11.9' }
/** It is pinned to one core, and would otherwise start threads for all of them. */
const ONE_CORE: Environment = { GOMAXPROCS: '1' }

async function findTraefik({ folder, upstreamUrl, sinkUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = built(TRAEFIK)
  const proxy = async (name: string, isObserved: boolean): Promise<ProcessSpec> => {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const routes = join(folder, `${name}-routes.yml`)
    const file = join(folder, `${name}.yml`)
    writeFileSync(
      routes,
      JSON.stringify({
        http: {
          routers: { all: { rule: 'PathPrefix(`/`)', service: 'bench', entryPoints: ['web'] } },
          services: { bench: { loadBalancer: { servers: [{ url: upstreamUrl }] } } },
        },
      }),
    )
    const observed = {
      accessLog: { filePath: '/dev/null', format: 'json' },
      metrics: { prometheus: { entryPoint: 'metrics', addRoutersLabels: true } },
      tracing: { sampleRate: 0.01, otlp: { http: { endpoint: `${sinkUrl}/traefik/v1/traces` } } },
    }
    writeFileSync(
      file,
      JSON.stringify({
        global: { checkNewVersion: false, sendAnonymousUsage: false },
        log: { level: 'ERROR' },
        entryPoints: {
          web: { address: `127.0.0.1:${port}` },
          metrics: { address: `127.0.0.1:${metricsPort}` },
        },
        providers: { file: { filename: routes } },
        ...(isObserved ? observed : {}),
      }),
    )
    return { name, command, args: [`--configFile=${file}`], env: ONE_CORE, port }
  }
  return {
    plain: row('traefik', 'Traefik', await proxy('traefik', false)),
    observed: row('traefik-observed', 'Traefik: metrics, log, 1 % over OTLP', await proxy('traefik-observed', true)),
  }
}

async function findCaddy({ folder, upstreamUrl, sinkUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = built(CADDY)
  const proxy = async (name: string, isObserved: boolean): Promise<ProcessSpec> => {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const file = join(folder, `${name}.json`)
    const server = {
      listen: [`127.0.0.1:${port}`],
      automatic_https: { disable: true },
      routes: [
        {
          handle: [
            ...(isObserved ? [{ handler: 'tracing', span: 'bench' }] : []),
            {
              handler: 'reverse_proxy',
              upstreams: [{ dial: new URL(upstreamUrl).host }],
              transport: { protocol: 'http', keep_alive: { enabled: true, max_idle_conns_per_host: 128 } },
            },
          ],
        },
      ],
      ...(isObserved ? { logs: { default_logger_name: 'access' } } : {}),
    }
    const access = { writer: { output: 'stdout' }, encoder: { format: 'json' }, include: ['http.log.access.access'] }
    writeFileSync(
      file,
      JSON.stringify({
        admin: isObserved ? { listen: `127.0.0.1:${metricsPort}` } : { disabled: true },
        logging: { logs: { default: { level: 'ERROR' }, ...(isObserved ? { access } : {}) } },
        apps: { http: { servers: { bench: server }, ...(isObserved ? { metrics: {} } : {}) } },
      }),
    )
    const otlp = {
      ...exporting(0.01),
      OTEL_EXPORTER_OTLP_ENDPOINT: `${sinkUrl}/caddy`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    }
    return { name, command, args: ['run', '--config', file], env: { ...ONE_CORE, ...(isObserved ? otlp : {}) }, port }
  }
  return {
    plain: row('caddy', 'Caddy', await proxy('caddy', false)),
    observed: row('caddy-observed', 'Caddy: metrics, log, 1 % over OTLP', await proxy('caddy-observed', true)),
  }
}

/** Built as the main module, because Go ignores the `replace` lines of any other. Kept in the user's cache folder. */
function built({ name, module }: typeof TRAEFIK): string {
  const binary = join(cacheFolder(), `${name}-${module.slice(module.lastIndexOf('@') + 1)}`)
  if (existsSync(binary)) return binary
  const go = onPath('go')
  if (go === undefined) throw new Error('Go is not installed, and it is built from source')
  process.stderr.write(`building ${module}, which takes many minutes\n`)
  mkdirSync(dirname(binary), { recursive: true })
  const draft = mkdtempSync(`${binary}.draft-`)
  try {
    const options = {
      cwd: draft,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'] as ['ignore', 'pipe', 'inherit'],
    } as const
    const { Dir } = JSON.parse(execFileSync(go, ['mod', 'download', '-json', module], options)) as {
      readonly Dir: string
    }
    cpSync(Dir, draft, { recursive: true })
    execFileSync('chmod', ['-R', 'u+w', draft], options)
    execFileSync(go, ['build', '-trimpath', '-o', `${draft}/binary`, `./cmd/${name}`], options)
    renameSync(`${draft}/binary`, binary)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return binary
}
