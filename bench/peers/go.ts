import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { findGo as FindGo } from '../../tools/stack/go-build.ts'
import type {
  buildModule as BuildModule,
  GoModule,
  moduleFolder as ModuleFolder,
} from '../../tools/stack/module-build.ts'
import { freePort } from '../free-port.ts'
import type { ProcessSpec } from '../processes.ts'
import { exporting, row, type Environment } from '../subjects.ts'
import { cacheFolder, ours } from '../trees.ts'
import type { FindPeer } from './peer.ts'

export const goPeers = { Traefik: findTraefik, Caddy: findCaddy } satisfies Record<string, FindPeer>

function goModule(title: string, path: string, version: string): GoModule {
  const name = title.toLowerCase()
  return { title, name, path, moduleVersion: `v${version}`, version, programs: [name], tags: [], missingFiles: {} }
}

const TRAEFIK = goModule('Traefik', 'github.com/traefik/traefik/v3', '3.7.13')
const CADDY = goModule('Caddy', 'github.com/caddyserver/caddy/v2', '2.11.9')
/** Limits Go to one thread: the process is pinned to one core but would start threads for all. */
const ONE_CORE: Environment = { GOMAXPROCS: '1' }

async function findTraefik({ folder, upstreamUrl, sinkUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = await built(TRAEFIK)
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
  const command = await built(CADDY)
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

/** Builds a module like Prometheus for the local stack, into the bench's cache folder. */
async function built(module: GoModule): Promise<string> {
  const { findGo } = ours('tools/stack/go-build.js') as { readonly findGo: typeof FindGo }
  const { buildModule, moduleFolder } = ours('tools/stack/module-build.js') as {
    readonly buildModule: typeof BuildModule
    readonly moduleFolder: typeof ModuleFolder
  }
  const go = await findGo()
  if (go === undefined) throw new Error('Go is not installed, and it is built from source')
  const target = join(cacheFolder(), moduleFolder(module))
  await buildModule(module, { go, target, log: line => process.stderr.write(`${line}\n`) })
  return join(target, module.name)
}
