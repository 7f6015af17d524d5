import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { onPath } from './on-path.ts'
import { helper, type ProcessSpec } from './processes.ts'
import { ANSWER, LARGE_ANSWERS } from './programs/answers.ts'

/** What the measured programs forward to: nginx where it is installed, else a small Node program that answers the same. */
export async function upstreamProgram(folder: string): Promise<ProcessSpec & { readonly title: string }> {
  const nginx = onPath('nginx')
  if (nginx === undefined) return { ...helper('upstream'), title: 'Node' }
  const port = await freePort()
  const files = join(folder, 'upstream')
  mkdirSync(files, { recursive: true })
  for (const [path, bytes] of Object.entries(LARGE_ANSWERS)) {
    if (!existsSync(join(files, path))) writeFileSync(join(files, path), Buffer.alloc(bytes, 'x'))
  }
  const config = `
daemon off; worker_processes 1; pid ${files}/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0;
  client_body_buffer_size 64k; client_body_temp_path ${files}/body; proxy_temp_path ${files}/proxy;
  fastcgi_temp_path ${files}/fastcgi; uwsgi_temp_path ${files}/uwsgi; scgi_temp_path ${files}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${files};
    location / { default_type application/json; return 200 '${ANSWER}'; }
    ${Object.keys(LARGE_ANSWERS)
      .map(path => `location = ${path} { default_type application/octet-stream; }`)
      .join('\n    ')}
  }
}`
  writeFileSync(join(files, 'nginx.conf'), config)
  return {
    name: 'upstream',
    title: 'nginx',
    command: nginx,
    args: ['-p', files, '-c', join(files, 'nginx.conf')],
    port,
  }
}
