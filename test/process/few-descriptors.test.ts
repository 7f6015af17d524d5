import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { gatewayArguments } from '../../src/process/gateway-command'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { plainEnvironment, startProcess, type TestProcess } from '../support/start-process'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const DIST = resolve(__dirname, '../..')
const CLIENTS = 200

describe('a gateway with a limit of 64 file descriptors', function () {
  let upstream: RunningUpstream
  let gateway: TestProcess
  let sockets: Socket[] = []

  before(function () {
    if (process.platform === 'win32') this.skip()
  })
  beforeEach(async () => {
    upstream = await startUpstream((_request, response) => response.end('ok'))
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets = []
    await gateway.stop()
    await upstream.stop()
  })

  it('reports it at the start, and serves while 200 clients hold connections, on the ops port too', async () => {
    const configFile = join(temporaryFolder(), 'gateway.yaml')
    writeFileSync(
      configFile,
      `{ upstreams: { u: { targets: [${upstream.url}] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }`,
    )
    gateway = startProcess({
      name: 'gateway',
      path: '/bin/sh',
      args: ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, ...gatewayArguments(DIST)],
      env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', GATEWAY_CONFIG: configFile }),
      cwd: resolve(DIST, '..'),
    })
    const { port, ops_port: opsPort } = await gateway.waitForLog('listening', ({ event }) => event === 'listening')
    const warning = gateway.logs.find(({ level, msg }) => level === 'warn' && String(msg).includes('may open'))
    assert.match(String(warning?.['msg']), /may open 64 files .* at most \d+ client connections .*ulimit -n \d+/)

    const first = connect(Number(port), '127.0.0.1')
    await once(first, 'connect')
    sockets = [first, ...Array.from({ length: CLIENTS }, () => connect(Number(port), '127.0.0.1'))]
    let closed = 0
    for (const socket of sockets) socket.on('error', () => {}).on('close', () => closed++)
    await until(() => closed > CLIENTS / 2, { what: 'the connections that are too many are closed' })

    // More are closed while the counter is read.
    const closedSoFar = closed
    const opsUrl = `http://127.0.0.1:${Number(opsPort)}`
    const live = await fetch(`${opsUrl}/livez`)
    assert.equal(live.status, 200)
    const families = await scrape(opsUrl)
    // All come from one address, which gets at most 90 % of the connections that fit.
    const labels = { error_type: 'max_connections_per_client' }
    const refused = sampleValue(families, 'gateway_connections_refused_total', labels)
    assert.ok((refused ?? 0) >= closedSoFar - 1, `${refused} refused, ${closedSoFar} closed`)
    const isAboutConnections = ({ event }: { readonly event?: unknown }): boolean => event === 'connections'
    await gateway.waitForLog('that connections are closed', isAboutConnections)
    assert.equal(gateway.logs.filter(isAboutConnections).length, 1)

    first.write('GET /r HTTP/1.1\r\nHost: a\r\n\r\n')
    const [answer] = (await once(first, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /)
  })
})
