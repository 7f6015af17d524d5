import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gatewayArguments } from '../../src/process/gateway-command'
import { send } from '../support/send'
import { plainEnvironment, runProcess, startProcess, type TestProcess } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

const ROOT = join(__dirname, '../../..')
/** Skips what is installed, downloaded or built in the project folder. */
const LEFT_OUT = ['.git', 'node_modules', '.cache', '.incidents', '.run']
const TEXT = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')
const [, SECTION = ''] = /^## Add a policy\n(.*?)^## /ms.exec(TEXT) ?? []

/** The project with the example of CONTRIBUTING.md added: one folder, and the lines in the registry. */
function projectWithExample(): string {
  const project = join(temporaryFolder(), 'project')
  mkdirSync(project)
  for (const name of readdirSync(ROOT)) {
    if (LEFT_OUT.includes(name)) continue
    cpSync(join(ROOT, name), join(project, name), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'))
  const [, file = ''] = /`(src\/policies\/[^`<]+\/policy\.ts)`/.exec(SECTION) ?? []
  const [, code = ''] = /^```ts\n(.*?)^```$/ms.exec(SECTION) ?? []
  mkdirSync(dirname(join(project, file)))
  writeFileSync(join(project, file), code)
  const [, diff = ''] = /^```diff\n(.*?)^```$/ms.exec(SECTION) ?? []
  const [importLine = '', entry = ''] = [...diff.matchAll(/^\+(.*)$/gm)].map(([, line = '']) => line)
  const registry = join(project, 'src/policies/registry.ts')
  const lines = readFileSync(registry, 'utf8').split('\n')
  lines.splice(lines.indexOf('  timeouts,') + 1, 0, entry)
  writeFileSync(registry, [importLine, ...lines].join('\n'))
  return project
}

describe('the example policy of CONTRIBUTING.md', () => {
  let project: string

  const run = (name: string, path: string, ...args: readonly string[]): Promise<TestProcess> =>
    runProcess({ name, path: process.execPath, args: [path, ...args], cwd: project }, 240_000)

  before(async function () {
    this.timeout(300_000)
    project = projectWithExample()
    const compiler = await run('tsc', join(ROOT, 'node_modules/typescript/bin/tsc'))
    assert.equal((await compiler.exited).code, 0, compiler.lines.join('\n'))
    const writer = await run('schema', join(project, 'dist/tools/docs/write-main.js'))
    assert.equal((await writer.exited).code, 0, writer.lines.join('\n'))
  })

  it('is included in all generated files', () => {
    const doc = (name: string): string => readFileSync(join(project, 'docs', name), 'utf8')
    assert.match(doc('gateway.schema.json'), /"requestTimeoutHeader": \{/)
    assert.match(
      doc('configuration.md'),
      /^\| `routes\[\]\.requestTimeoutHeader` \| `10ms` to `1h` \| none \| How long /m,
    )
    assert.match(doc('gateway.example.yaml'), /^ {4}requestTimeoutHeader: 5s$/m)
  })

  it('passes the configuration tests unchanged', async function () {
    this.timeout(240_000)
    const tests = await run('tests', join(project, 'dist/test/run.js'), 'test/unit/config')
    assert.equal((await tests.exited).code, 0, tests.lines.slice(-60).join('\n'))
  })

  it('reports mistakes with their line, appears in the routes, and sends an upstream the time left', async () => {
    const upstream = await startUpstream((_request, response) => response.end('ok'))
    const file = (ms: string, total: string): string => {
      const path = join(project, `gateway-${ms}.yaml`)
      const route = `{ name: app, match: { path: /app }, upstream: app, timeouts: { total: ${total} }, requestTimeoutHeader: ${ms} }`
      writeFileSync(path, `upstreams:\n  app: { targets: [${upstream.url}] }\nroutes:\n  - ${route}\n`)
      return path
    }
    const check = await run('check', join(project, 'bin/myesi-gateway.cjs'), 'check', file('9s', '8s'))
    assert.match(check.lines.join('\n'), /gateway-9s\.yaml:4:\d+ routes\[0\]\.requestTimeoutHeader/)
    assert.match(check.lines.join('\n'), /at most timeouts\.total, which is 8s/)
    const good = file('5s', '8s')
    const routes = await run('routes', join(project, 'bin/myesi-gateway.cjs'), 'routes', good)
    assert.match(routes.lines.join('\n'), /the upstream is told the time left of 5s/)
    const gateway = startProcess({
      name: 'gateway',
      path: process.execPath,
      args: gatewayArguments(join(project, 'dist')),
      env: plainEnvironment({ PORT: '0', HOST: '127.0.0.1', OPS_PORT: '0', GATEWAY_CONFIG: good }),
    })
    const { port } = await gateway.waitForLog('"listening"', entry => entry['event'] === 'listening')
    assert.equal((await send(Number(port), '/app')).status, 200)
    const left = Number(upstream.requests[0]?.headers['x-request-timeout-ms'])
    assert.ok(left > 0 && left <= 5_000, `${left} ms`)
    await gateway.stop()
    await upstream.stop()
  })
})
