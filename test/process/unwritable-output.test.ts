import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, constants, openSync, readSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { gatewayArguments } from '../../src/process/gateway-command'
import { plainEnvironment } from '../support/start-process'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const DIST = resolve(__dirname, '../..')

describe('a gateway whose standard output', function () {
  let upstream: RunningUpstream
  let child: ChildProcess | undefined
  let said = ''

  before(function () {
    if (process.platform === 'win32') this.skip()
  })
  beforeEach(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    child?.kill('SIGKILL')
    await upstream.stop()
  })

  /** @param output where standard output goes; closed here once the child has it */
  async function start(output: number): Promise<{ url: string; opsUrl: string }> {
    const configFile = join(temporaryFolder(), 'gateway.yaml')
    writeFileSync(
      configFile,
      `{ upstreams: { u: { targets: [${upstream.url}] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }`,
    )
    said = ''
    child = spawn(process.execPath, gatewayArguments(DIST), {
      cwd: resolve(DIST, '..'),
      env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', GATEWAY_CONFIG: configFile }),
      stdio: ['ignore', output, 'pipe', 'ipc'],
    })
    closeSync(output)
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const [{ port, opsPort }] = (await once(child, 'message')) as [{ port: number; opsPort: number }]
    return { url: `http://127.0.0.1:${port}`, opsUrl: `http://127.0.0.1:${opsPort}` }
  }

  async function ask(url: string, count: number): Promise<void> {
    for (let i = 0; i < count; i += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, async () => fetch(`${url}/r`)))
      for (const answer of answers) assert.equal((await answer.text(), answer.status), 200)
    }
  }

  async function droppedFor(opsUrl: string, cause: string): Promise<number> {
    const text = await (await fetch(`${opsUrl}/metrics`)).text()
    const line = text.split('\n').find(l => l.startsWith('gateway_log_dropped_total{') && l.includes(`"${cause}"`))
    return Number(line?.split(' ')[1])
  }

  async function endsOnSigterm(): Promise<number | null> {
    const exited = once(child!, 'exit')
    child!.kill('SIGTERM')
    const timer = setTimeout(() => child!.kill('SIGUSR2'), 8_000)
    const [code, signal] = (await exited) as [number | null, string | null]
    clearTimeout(timer)
    assert.notEqual(signal, 'SIGUSR2', 'it had to be ended')
    return code
  }

  function fifo(): { path: string; reader: number; writer: number } {
    const path = join(temporaryFolder(), 'output')
    execFileSync('mkfifo', [path])
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return { path, reader, writer: openSync(path, constants.O_WRONLY) }
  }

  it('is on a full disk serves, counts lost lines, logs that once, and exits on SIGTERM', async function () {
    if (process.platform !== 'linux') this.skip()
    const { url, opsUrl } = await start(openSync('/dev/full', 'w'))
    await ask(url, 100)
    await until(async () => (await droppedFor(opsUrl, 'no_space')) > 100, { what: 'lost lines are counted' })
    assert.equal(said.match(/log lines are lost because standard output cannot be written \(ENOSPC/g)?.length, 1, said)
    assert.equal(await endsOnSigterm(), 0)
  })

  it('is closed keeps serving, and writes again when a reader returns', async () => {
    const { path, reader, writer } = fifo()
    const { url, opsUrl } = await start(writer)
    closeSync(reader)
    await ask(url, 20)
    await until(async () => (await droppedFor(opsUrl, 'closed')) >= 20, { what: 'lost lines are counted' })
    assert.equal(said.match(/log lines are lost/g)?.length, 1, said)
    const again = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    let read = ''
    await until(
      async () => {
        await ask(url, 20)
        read += drain(again)
        return read.includes('"log_lines_dropped"')
      },
      { what: 'the log says that lines were lost' },
    )
    for (const line of read.trim().split('\n')) JSON.parse(line)
    assert.equal(await endsOnSigterm(), 0)
    closeSync(again)
  })

  it('is no longer read keeps serving, and exits on SIGTERM', async () => {
    const { reader, writer } = fifo()
    const { url } = await start(writer)
    await ask(url, 600)
    await endsOnSigterm()
    closeSync(reader)
  })
})

function drain(fd: number): string {
  const buffer = Buffer.alloc(1 << 20)
  try {
    return buffer.toString('utf8', 0, readSync(fd, buffer))
  } catch {
    return ''
  }
}
