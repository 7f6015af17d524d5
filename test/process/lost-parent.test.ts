import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gatewayArguments } from '../../src/process/gateway-command'
import { send } from '../support/send'
import { plainEnvironment } from '../support/start-process'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const DIST = resolve(__dirname, '../..')

describe('a gateway started by another program', () => {
  let upstream: RunningUpstream
  let child: ChildProcess
  let port = 0
  let opsPort = 0

  /** Has a channel for messages, over which the gateway reports its ports. */
  beforeEach(async () => {
    upstream = await startUpstream()
    const configFile = join(temporaryFolder(), 'gateway.yaml')
    const entrypoint = { maxUrlLength: '16KiB', maxHeaderSize: '32KiB' } // makes long log lines possible
    writeFileSync(configFile, JSON.stringify(proxyTo(upstream.url, { entrypoint })))
    child = spawn(process.execPath, gatewayArguments(DIST), {
      cwd: resolve(DIST, '..'),
      env: plainEnvironment({ PORT: '0', HOST: '127.0.0.1', OPS_PORT: '0', GATEWAY_CONFIG: configFile }),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const [message] = (await once(child, 'message')) as [{ event: string; port: number; opsPort: number }]
    assert.equal(message.event, 'listening')
    ;({ port, opsPort } = message)
  })
  afterEach(async () => {
    child.kill('SIGKILL')
    await upstream.stop()
  })

  it('exits in order when that program has exited', async () => {
    const exited = once(child, 'exit')
    child.disconnect()
    assert.deepEqual(await exited, [0, null])
  })

  it('keeps serving when its output is no longer read', async () => {
    child.stdout?.destroy()
    child.stderr?.destroy()
    for (let i = 0; i < 20; i++) assert.equal((await send(port, '/app')).status, 200)
    const metrics = async (): Promise<string> => (await send(opsPort, '/metrics')).text
    await until(async () => /gateway_requests_total\{[^}]*"ok"[^}]*\} 20\b/.test(await metrics()), {
      what: 'all counted',
    })
    assert.equal(child.exitCode, null)
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  })

  // More than the 16 MiB of lines that are buffered for a slow reader.
  it('keeps serving when its output is read too slowly', async () => {
    child.stdout?.pause()
    const long = `/app/${'x'.repeat(15_000)}`
    for (let i = 0; i < 25; i++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => send(port, long)))
      assert.ok(answers.every(({ status }) => status === 200))
    }
    child.stdout?.resume()
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  }).timeout(60_000)
})
