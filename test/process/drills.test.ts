import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../support/free-port'
import { send, type Answer } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const INTERVAL_MS = 25
/** Failures of the default ejection until a target that answers 500 gets no more requests, and requests in flight then. */
const FAILURES_UNTIL_EJECTED = 5 + 3
const SERVE = `
  const [port, status] = process.argv.slice(1).map(Number)
  require('node:http')
    .createServer((request, response) => {
      request.resume()
      setTimeout(() => { response.statusCode = status; response.end('ok') }, 10)
    })
    .listen(port, '127.0.0.1', () => console.log('listening'))`

/** Outages at 40 requests per second, with the default settings. Gateway and targets are processes; targets are killed. */
describe('the drills', function () {
  this.timeout(60_000)
  let gateway: RunningGateway
  let ports: number[]
  let targets: TestProcess[]
  let namesFile: string

  async function startTarget(port: number, status = 200): Promise<TestProcess> {
    const child = startProcess({
      name: `target ${port}`,
      path: process.execPath,
      args: ['--eval', SERVE, String(port), String(status)],
    })
    await child.waitForLine('its port', line => line === 'listening')
    return child
  }

  async function start(count: number, { host = '127.0.0.1', statuses = [] as number[] } = {}): Promise<void> {
    ports = []
    for (let i = 0; i < count; i++) ports.push(await freePort())
    targets = await Promise.all(ports.map(async (port, index) => startTarget(port, statuses[index])))
    namesFile = join(temporaryFolder(), 'names')
    writeFileSync(namesFile, host)
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { app: { targets: ports.map(port => `http://${host}:${port}`) } },
        routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
      }),
      env: { NAMES_FILE: namesFile },
      nodeArgs: ['--require', join(__dirname, '../fixtures/names-from-file.js')],
    })
  }

  afterEach(async () => {
    await gateway.kill()
    await Promise.all(targets.map(async target => target.kill()))
  })

  interface Load {
    readonly answers: readonly (Answer | Error)[]
    more(count: number): Promise<void>
    /** @returns the statuses and errors of requests that failed */
    end(): Promise<(string | number)[]>
  }

  function startLoad(): Load {
    const answers: (Answer | Error)[] = []
    const running = new Set<Promise<unknown>>()
    const over = new AbortController()
    const loop = (async () => {
      while (!over.signal.aborted) {
        const sent = send(gateway.port, '/app')
          .catch((error: unknown) => error as Error)
          .then(answer => void answers.push(answer))
          .finally(() => running.delete(sent))
        running.add(sent)
        await pause(INTERVAL_MS)
      }
    })()
    return {
      answers,
      more: async count => {
        const before = answers.length
        await until(() => answers.length >= before + count, { what: `${count} more answers`, timeoutMs: 30_000 })
      },
      end: async () => {
        over.abort()
        await loop
        await Promise.all(running)
        const outcomes = answers.map(answer => (answer instanceof Error ? answer.message : answer.status))
        return outcomes.filter(outcome => outcome !== 200)
      },
    }
  }

  it('lose no GET in a rolling restart of three targets', async () => {
    await start(3)
    const load = startLoad()
    await load.more(20)
    for (const [index, port] of ports.entries()) {
      await targets[index]?.kill()
      await load.more(40)
      targets[index] = await startTarget(port)
      await load.more(40)
    }
    assert.deepEqual(await load.end(), [])
  })

  it('lose no GET while two of three targets are dead', async () => {
    await start(3)
    const load = startLoad()
    await load.more(20)
    await Promise.all([targets[0]?.kill(), targets[1]?.kill()])
    await load.more(200)
    assert.deepEqual(await load.end(), [])
  })

  it('lose few requests to a target that answers 500, until it is ejected', async () => {
    await start(3, { statuses: [200, 500, 200] })
    const load = startLoad()
    await load.more(150)
    const failed = await load.end()
    assert.ok(failed.every(status => status === 500) && failed.length <= FAILURES_UNTIL_EJECTED, failed.join(' '))
    assert.ok(failed.length > 0, 'the target was never asked')
  })

  it('lose no GET while the name of the targets stops resolving, and one of them is killed', async () => {
    await start(2, { host: 'app.internal' })
    const load = startLoad()
    await load.more(20)
    writeFileSync(namesFile, '')
    await targets[0]?.kill()
    await gateway.process.waitForLog('a failed look-up', entry => JSON.stringify(entry).includes('ENOTFOUND'), 30_000)
    await load.more(80)
    assert.deepEqual(await load.end(), [])
  })
})
