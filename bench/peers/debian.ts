import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { nginx } from '../nginx.ts'
import { onPath } from '../on-path.ts'
import { row } from '../subjects.ts'
import type { FindPeer } from './peer.ts'

export const debianPeers = { nginx: findNginx, haproxy: findHaproxy } satisfies Record<string, FindPeer>

function installed(name: string, debianPackage: string): string {
  const path = onPath(name)
  if (path === undefined) throw new Error(`not installed: apt-get install ${debianPackage}`)
  return path
}

async function findNginx({ folder, upstreamUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = installed('nginx', 'nginx-light')
  const proxy = async (name: string, log: string, status: string): Promise<ReturnType<typeof nginx>> => {
    const port = await freePort()
    return nginx(
      name,
      command,
      join(folder, name),
      port,
      `${log}
  upstream bench { server ${new URL(upstreamUrl).host}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://bench; proxy_http_version 1.1;
      proxy_set_header Connection ''; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    }
    ${status}
  }`,
    )
  }
  const log = `log_format line escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","path":"$uri","status":$status,"duration":$request_time,"upstream":"$upstream_addr"}';
  access_log /dev/null line;`
  const plain = await proxy('nginx', 'access_log off;', '')
  const observed = await proxy('nginx-observed', log, 'location = /status { stub_status; }')
  return {
    plain: row('nginx', 'nginx', plain),
    observed: row('nginx-observed', 'nginx: seven counters, log; it has no traces', observed),
  }
}

async function findHaproxy({ folder, upstreamUrl }: Parameters<FindPeer>[0]): ReturnType<FindPeer> {
  const command = installed('haproxy', 'haproxy')
  const proxy = async (name: string, isObserved: boolean): Promise<ReturnType<typeof nginx>> => {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const file = join(folder, `${name}.cfg`)
    writeFileSync(
      file,
      `global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  timeout client 1h
  timeout server 1h
  timeout connect 5s
  option forwardfor
  http-reuse always
frontend clients
  bind 127.0.0.1:${port} backlog 4096
  ${isObserved ? 'log global\n  option httplog' : ''}
  default_backend bench
${isObserved ? `frontend metrics\n  bind 127.0.0.1:${metricsPort}\n  http-request use-service prometheus-exporter if { path /metrics }` : ''}
backend bench
  server one ${new URL(upstreamUrl).host}
`,
    )
    return { name, command, args: ['-db', '-f', file], port }
  }
  return {
    plain: row('haproxy', 'haproxy', await proxy('haproxy', false)),
    observed: row(
      'haproxy-observed',
      'haproxy: Prometheus, log; no traces built in',
      await proxy('haproxy-observed', true),
    ),
  }
}
