import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
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
    assert.deepEqual(child.lines, [`${file} is valid: 2 routes, 1 upstream.`])
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
    assert.ok(child.lines.includes('All routes: 503 above 10000 requests at once or 500ms of event loop delay.'))
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

describe('npm run explain --from', () => {
  for (const [address, code] of [
    ['203.0.113.7', 0],
    ['2001:db8::7', 0],
    ['bogus', 64],
    ['203.0.113.7:80', 64],
    ['', 64],
  ] as const) {
    it(`ends with ${code} for "${address}"`, async () => {
      const explained = run('explain', '/orders', `--from=${address}`, '--file', fileWith(GOOD))
      assert.equal(await codeOf(explained), code)
    })
  }
})

describe('npm run budget', () => {
  it('computes the lines of a scrape for the named file, typical and at most', async () => {
    const file = fileWith(GOOD)
    const child = await run('budget', file)
    assert.equal(child.lines[0], `${file}: 2 routes, 1 upstream`)
    assert.ok(
      child.lines.some(line => /^gateway\.requests +\d+ +\d+ +\d+ {2}/.test(line)),
      child.lines.join('\n'),
    )
    assert.equal((await child.exited).code, 0)
    assert.equal(await codeOf(run('budget', fileWith('routes: 1'))), 78)
  })
})

describe('every command', () => {
  for (const [command, ...args] of [['routes'], ['budget'], ['check'], ['explain', '/orders', '--file']] as const) {
    it(`ends well and says nothing when nobody reads what it prints: ${command}`, async () => {
      const path = join(CLI, `${command}-main.js`)
      const child = spawn(process.execPath, [path, ...args, fileWith(GOOD)], { env: plainEnvironment() })
      child.stdout.destroy()
      const exited = once(child, 'exit')
      const [complaints, [code]] = await Promise.all([text(child.stderr), exited])
      assert.deepEqual([complaints, code], ['', 0])
    })
  }

  for (const command of ['check', 'routes', 'explain', 'budget']) {
    it(`has help and says what it does not understand: ${command}`, async () => {
      const help = await run(command, '--help')
      assert.match(help.lines[0] ?? '', new RegExp(`^npm run ${command} -- `))
      assert.equal((await help.exited).code, 0)
      assert.equal(await codeOf(run(command, '--wrong')), 64)
      assert.equal(await codeOf(run(command, 'a', 'b', 'c')), 64)
    })
  }
})
