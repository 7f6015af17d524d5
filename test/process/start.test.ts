import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { childrenOf, isAlive } from '../support/process-status'
import { plainEnvironment, startProcess, type TestProcess } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const ROOT = resolve(__dirname, '../../..')

/** The script of `npm start`, on free ports. */
function start(env: NodeJS.ProcessEnv = {}): TestProcess {
  return startProcess({
    name: 'npm start',
    path: process.execPath,
    args: [join(ROOT, 'dist/tools/demo/start.js')],
    env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', ...env }),
    cwd: ROOT,
  })
}

async function urlOf(launcher: TestProcess): Promise<string> {
  const { port } = await launcher.waitForLog('"listening"', entry => entry['event'] === 'listening')
  return `http://127.0.0.1:${Number(port)}`
}

describe('npm start', () => {
  it('serves the demo upstream through the gateway, and prints its address', async () => {
    const launcher = start()
    const url = await urlOf(launcher)
    const response = await fetch(`${url}/demo/status/200`)
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), { status: 200 })
    await launcher.waitForLine('the welcome', line => line.includes(`curl ${url}/demo/echo`))
    await launcher.stop()
  })

  it('reads .env when npm runs it; variables that are already set win', async () => {
    const folder = temporaryFolder()
    writeFileSync(
      join(folder, 'mine.yaml'),
      '{ upstreams: { u: { targets: [http://127.0.0.1:1] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }',
    )
    writeFileSync(join(folder, '.env'), 'GATEWAY_CONFIG=mine.yaml\nHOST=192.0.2.1\n')
    const launcher = startProcess({
      name: 'npm start',
      path: process.execPath,
      args: [join(ROOT, 'dist/tools/demo/start.js')],
      env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', npm_lifecycle_event: 'start' }),
      cwd: folder,
    })
    const { file } = await launcher.waitForLog('routes', entry => entry['msg'] === 'routes loaded')
    assert.equal(file, 'mine.yaml')
    await urlOf(launcher)
    await launcher.stop()
  })

  it('reports an address of its ops port that others can use, where it listens on all', async () => {
    const launcher = start({ OPS_HOST: '0.0.0.0' })
    await urlOf(launcher)
    const { ops_port: opsPort } = await launcher.waitForLog('"listening"', entry => entry['event'] === 'listening')
    const text = await (await fetch(`http://127.0.0.1:${Number(opsPort)}/metrics`)).text()
    const [, host] = /^gateway_ops_info\{.*url="http:\/\/([^:"]+):\d+"/m.exec(text) ?? []
    const others = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
    const expected = others
      .filter(({ internal, family }) => !internal && family === 'IPv4')
      .map(({ address }) => address)
    assert.ok(host !== undefined && (expected.length === 0 ? ['0.0.0.0'] : expected).includes(host), host)
    await launcher.stop()
  })

  it('stops everything on SIGTERM, with the gateway’s exit code', async () => {
    const launcher = start()
    await urlOf(launcher)
    const children = childrenOf(launcher.pid!)
    assert.equal(children.length, 2, 'gateway and demo upstream')
    assert.deepEqual(await launcher.stop(), { code: 0, signal: null })
    assert.deepEqual(children.filter(isAlive), [])
  })

  it('finishes a request in flight after Ctrl-C, even if npm sends the signal twice', async () => {
    const launcher = start()
    const url = await urlOf(launcher)
    const slow = fetch(`${url}/demo/stream?chunks=4&interval=150`)
    const response = await slow
    launcher.signal('SIGINT')
    launcher.signal('SIGINT')
    assert.match(await response.text(), /chunk 4 of 4\n$/)
    assert.deepEqual(await launcher.exited, { code: 0, signal: null })
  })

  it('leaves no process behind when it is killed', async () => {
    const launcher = start()
    await urlOf(launcher)
    const children = childrenOf(launcher.pid!)
    assert.equal(children.length, 2, 'gateway and demo upstream')
    await launcher.kill()
    await until(() => !children.some(isAlive), { what: 'gateway and demo upstream are gone' })
  })

  it('stops everything when npm exits without a signal', async () => {
    // As npm runs it: in a shell, to which npm passes a signal on.
    const npm = startProcess({
      name: 'npm',
      path: '/bin/sh',
      args: ['-c', `"${process.execPath}" "${join(ROOT, 'dist/tools/demo/start.js')}"; true`],
      env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', npm_lifecycle_event: 'start' }),
      cwd: ROOT,
    })
    await urlOf(npm)
    const [launcher] = childrenOf(npm.pid!)
    const all = [launcher!, ...childrenOf(launcher!)]
    assert.equal(all.length, 3, 'launcher, gateway and demo upstream')
    npm.signal('SIGTERM')
    await until(() => !all.some(isAlive), { what: 'launcher, gateway and demo upstream are gone' })
    await npm.exited
  })

  it('exits with the gateway’s exit code when the gateway cannot start', async () => {
    const other = await startUpstream()
    const launcher = start({ PORT: String(other.port) })
    assert.deepEqual(await launcher.exited, { code: 71, signal: null })
    await other.stop()
  })

  it('starts no demo upstream when another upstream is configured', async () => {
    const upstream = await startUpstream((_request, response) => response.end('mine'))
    const launcher = start({ DEMO_UPSTREAM_URL: upstream.url })
    const response = await fetch(`${await urlOf(launcher)}/demo/anything`)
    assert.equal(await response.text(), 'mine')
    assert.equal(childrenOf(launcher.pid!).length, 1)
    await launcher.stop()
    await upstream.stop()
  })
})
