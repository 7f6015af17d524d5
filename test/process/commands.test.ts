import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { plainEnvironment, runProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'

const GOOD = `
upstreams:
  orders: { targets: [http://127.0.0.1:9001] }
routes:
  - { name: all, match: { path: /:path }, upstream: orders }
  - { name: orders, match: { path: /orders, methods: [GET] }, upstream: orders, rateLimit: { limit: 10, window: 1s } }
`

/** Compiled, this file is dist/test/process/commands.test.js. */
const CLI = resolve(__dirname, '../../src/cli')

function run(command: string, ...args: readonly string[]): Promise<TestProcess> {
  const env = plainEnvironment({ TARGET: 'http://127.0.0.1:9001' })
  return runProcess({ name: command, path: process.execPath, args: [join(CLI, `${command}-main.js`), ...args], env })
}

function fileWith(text: string): string {
  const file = join(temporaryFolder(), 'gateway.yaml')
  writeFileSync(file, text)
  return file
}

async function codeOf(child: Promise<TestProcess>): Promise<number | null> {
  return (await (await child).exited).code
}

describe('npm run check', () => {
  it('says that a file will do, and ends with 0', async () => {
    const file = fileWith(GOOD)
    const child = await run('check', file)
    assert.deepEqual(child.lines, [`${file} will do: 2 routes, 1 upstream.`])
    assert.equal((await child.exited).code, 0)
  })

  it('says every problem with its line, and ends with 78', async () => {
    const child = await run('check', fileWith(GOOD.replace('/orders', 'orders').replace('limit: 10', 'limt: 10')))
    const output = child.lines.join('\n')
    assert.match(output, /gateway\.yaml:6:\d+ routes\[1\]\.match\.path/)
    assert.match(output, /gateway\.yaml:6:\d+ routes\[1\]\.rateLimit\.limt/)
    assert.match(output, /did you mean: limit/)
    assert.equal((await child.exited).code, 78)
  })

  it('says nothing with --quiet', async () => {
    const good = await run('check', '--quiet', fileWith(GOOD))
    assert.deepEqual([good.lines, (await good.exited).code], [[], 0])
    const bad = await run('check', '--quiet', fileWith('routes: 1'))
    assert.deepEqual([bad.lines, (await bad.exited).code], [[], 78])
  })
})

describe('npm run routes', () => {
  it('prints the routes, the most specific first', async () => {
    const child = await run('routes', fileWith(GOOD))
    assert.deepEqual(
      child.lines.slice(0, 3).map(line => line.split(/ {2,}/)),
      [
        ['ROUTE', 'HOST', 'METHODS', 'PATH', 'TO', 'LIMITS', 'AND'],
        ['orders', 'any', 'GET', '/orders', '→ orders', '10 per 1s by client', '-'],
        ['all', 'any', 'any', '/:path', '→ orders', '-', '-'],
      ],
    )
    assert.ok(child.lines.includes('All of them: 503 above 10000 requests at once or 500ms of event loop delay.'))
  })
})

describe('npm run explain', () => {
  it('explains a request', async () => {
    const file = fileWith(GOOD)
    const child = await run('explain', 'GET', 'https://shop.example/orders/7', '-H', 'x: y', '--file', file)
    assert.ok(child.lines.includes('route    orders: GET /orders'), child.lines.join('\n'))
    assert.equal((await child.exited).code, 0)
  })
})

describe('every command', () => {
  for (const command of ['check', 'routes', 'explain']) {
    it(`has help and says what it does not understand: ${command}`, async () => {
      const help = await run(command, '--help')
      assert.match(help.lines[0] ?? '', new RegExp(`^npm run ${command} -- `))
      assert.equal((await help.exited).code, 0)
      assert.equal(await codeOf(run(command, '--wrong')), 64)
      assert.equal(await codeOf(run(command, 'a', 'b', 'c')), 64)
    })
  }
})
