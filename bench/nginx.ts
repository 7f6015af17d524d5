import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessSpec } from './processes.ts'

/** @param http content of the `http` block; all files stay in the folder */
export function nginx(name: string, command: string, folder: string, port: number, http: string): ProcessSpec {
  mkdirSync(folder, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; worker_processes 1; ${userDirective()} pid ${folder}/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  ${temporary.map(kind => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
  keepalive_requests 1000000000; keepalive_timeout 1h;
  client_max_body_size 0; client_body_buffer_size 64k;
  ${http}
}
`,
  )
  return { name, command, args: ['-p', folder, '-c', file], port }
}

/** As root, nginx would run its workers as a user who cannot read the bench's folder. */
function userDirective(): string {
  return process.getuid?.() === 0 ? 'user root;' : ''
}
