import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../support/free-port'
import { send } from '../support/send'
import { launchGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import type { TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'

const GOOD = JSON.stringify(proxyTo('http://127.0.0.1:1'))

describe('a gateway that cannot start', () => {
  let child: TestProcess | undefined
  afterEach(async () => {
    await child?.kill()
  })

  async function run(config: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; said: string }> {
    child = launchGateway({ config, env }).child
    const { code } = await child.exited
    return { code, said: child.lines.join('\n') }
  }

  for (const variable of ['PORT', 'OPS_PORT']) {
    it(`reports that ${variable} is in use, and exits with 71`, async () => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as AddressInfo
      const { code, said } = await run(GOOD, { [variable]: String(port) })
      assert.equal(code, 71)
      assert.match(said, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port} \\(${variable}\\): the port is in use`))
      assert.ok(!said.includes('"listening"'))
      other.close()
    })
  }

  it('reports both ports that are in use, together', async () => {
    const others = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')]
    await Promise.all(others.map(other => once(other, 'listening')))
    const [port, opsPort] = others.map(other => (other.address() as AddressInfo).port)
    const { code, said } = await run(GOOD, { PORT: String(port), OPS_PORT: String(opsPort) })
    assert.equal(code, 71)
    assert.match(said, new RegExp(`${opsPort} \\(OPS_PORT\\): the port is in use`))
    assert.match(said, new RegExp(`${port} \\(PORT\\): the port is in use`))
    for (const other of others) other.close()
  })

  it('reports that the machine has no such address, and exits with 71', async () => {
    const { code, said } = await run(GOOD, { HOST: '192.0.2.1' })
    assert.equal(code, 71)
    assert.match(said, /cannot listen on 192\.0\.2\.1:0 \(PORT\): this machine has no such address\. Set HOST/)
  })

  it('reports all problems together, exits with 78, and has not listened', async () => {
    const config = `
upstreams:
  app: { targets: ['127.0.0.1:9001'], timeout: 1s }
routes:
  - { name: a, match: { path: /a }, upstream: ap }
  - { name: a, match: { path: /metrics }, upstream: app }
`
    const port = await freePort()
    const { code, said } = await run(config, {
      PORT: String(port),
      OPS_PORT: '99999',
      LOG_LEVEL: 'inof',
      REDIS_URL: 'http://nowhere',
      OTEL_TRACES_EXPORTER: 'otpl',
      REPLICAS: '0',
    })
    assert.equal(code, 78)
    const found = ['OPS_PORT', 'LOG_LEVEL', 'REDIS_URL', 'OTEL_TRACES_EXPORTER', 'REPLICAS', ':3:', ':5:', ':6:']
    for (const where of found) assert.ok(said.includes(where), `${where} in\n${said}`)
    for (const nearest of ['info', 'otlp', 'app', 'timeouts'])
      assert.ok(said.includes(nearest), `${nearest} in\n${said}`)
    assert.ok(!said.includes('"listening"'))
    await assert.rejects(send(port, '/'), { code: 'ECONNREFUSED' })
  })

  it('does not wait when its file is a pipe without a writer', async function () {
    if (process.platform === 'win32') this.skip()
    const pipe = join(temporaryFolder(), 'gateway.yaml')
    execFileSync('mkfifo', [pipe])
    const { code, said } = await run(GOOD, { GATEWAY_CONFIG: pipe })
    assert.equal(code, 78)
    assert.match(said, /this is a pipe \(FIFO\)\s+allowed: a regular file/)
  })

  it('names the missing file, and exits with 78', async () => {
    const { code, said } = await run(GOOD, { GATEWAY_CONFIG: '/nowhere/gateway.yaml' })
    assert.equal(code, 78)
    assert.match(said, /\/nowhere\/gateway\.yaml/)
  })
})
