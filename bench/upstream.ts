import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { nginx } from './nginx.ts'
import { onPath } from './on-path.ts'
import { helper, type ProcessSpec } from './processes.ts'
import { ANSWER, LARGE_ANSWERS } from './programs/answers.ts'

/** The upstream of the measured programs: nginx if installed, otherwise a small Node program with the same answers. */
export async function upstreamProgram(folder: string): Promise<ProcessSpec> {
  const command = onPath('nginx')
  if (command === undefined) return helper('upstream')
  const port = await freePort()
  const files = join(folder, 'upstream')
  mkdirSync(files)
  const large = Object.entries(LARGE_ANSWERS)
  for (const [path, bytes] of large) writeFileSync(join(files, path), Buffer.alloc(bytes, 'x'))
  return nginx(
    'nginx as upstream',
    command,
    files,
    port,
    `access_log off;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${files};
    location / { default_type application/json; return 200 '${ANSWER}'; }
    ${large.map(([path]) => `location = ${path} { default_type application/octet-stream; }`).join(' ')}
  }`,
  )
}
