import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { VERSION } from '../../src/process/version'
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
const PROGRAM = resolve(__dirname, '../../../bin/myesi-gateway.cjs')

function run(command: string, ...args: readonly string[]): Promise<TestProcess> {
  const env = plainEnvironment({ TARGET: 'http://127.0.0.1:9001' })
  return runProcess({ name: command, path: process.execPath, args: [PROGRAM, command, ...args], env })
}

function fileWith(text: string): string {
  const file = join(temporaryFolder(), 'gateway.yaml')
  writeFileSync(file, text)
  return file
}

async function codeOf(child: Promise<TestProcess>): Promise<number | null> {
  return (await (await child).exited).code
}

describe('myesi-gateway check', () => {
  it('reports a valid file, and exits with 0', async () => {
    const file = fileWith(GOOD)
    const child = await run('check', file)
    assert.deepEqual(child.lines, [`${file} is valid: 2 routes, 1 upstream.`])
    assert.equal((await child.exited).code, 0)
  })

  it('reports every problem with its line, and exits with 78', async () => {
    const child = await run('check', fileWith(GOOD.replace('/orders', 'orders').replace('limit: 10', 'limt: 10')))
    const output = child.lines.join('\n')
    assert.match(output, /gateway\.yaml:6:\d+ routes\[1\]\.match\.path/)
    assert.match(output, /gateway\.yaml:6:\d+ routes\[1\]\.rateLimit\.limt/)
    assert.match(output, /did you mean: limit/)
    assert.equal((await child.exited).code, 78)
  })

  it('prints nothing with --quiet', async () => {
    const good = await run('check', '--quiet', fileWith(GOOD))
    assert.deepEqual([good.lines, (await good.exited).code], [[], 0])
    const bad = await run('check', '--quiet', fileWith('routes: 1'))
    assert.deepEqual([bad.lines, (await bad.exited).code], [[], 78])
  })
})

describe('myesi-gateway routes', () => {
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

describe('myesi-gateway explain', () => {
  it('explains a request', async () => {
    const file = fileWith(GOOD)
    const child = await run('explain', 'GET', 'https://shop.example/orders/7', '-H', 'x: y', '--file', file)
    assert.ok(child.lines.includes('route    orders: GET /orders'), child.lines.join('\n'))
    assert.equal((await child.exited).code, 0)
  })
})

describe('myesi-gateway explain --from', () => {
  for (const [address, code] of [
    ['203.0.113.7', 0],
    ['2001:db8::7', 0],
    ['bogus', 64],
    ['203.0.113.7:80', 64],
    ['', 64],
  ] as const) {
    it(`exits with ${code} for "${address}"`, async () => {
      const explained = run('explain', '/orders', `--from=${address}`, '--file', fileWith(GOOD))
      assert.equal(await codeOf(explained), code)
    })
  }
})

describe('myesi-gateway budget', () => {
  it('computes typical and maximum lines of a scrape for the named file', async () => {
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
  const ALL = [
    'start',
    'init',
    'check',
    'routes',
    'explain',
    'budget',
    'hash-key',
    'schema',
    'monitoring',
    'incidents',
    'completion',
  ]

  for (const [command, ...args] of [['routes'], ['budget'], ['check'], ['explain', '/orders', '--file']] as const) {
    it(`exits with 0 and prints no error when its output pipe is closed: ${command}`, async () => {
      const child = spawn(process.execPath, [PROGRAM, command, ...args, fileWith(GOOD)], { env: plainEnvironment() })
      child.stdout.destroy()
      const exited = once(child, 'exit')
      const [complaints, [code]] = await Promise.all([text(child.stderr), exited])
      assert.deepEqual([complaints, code], ['', 0])
    })
  }

  for (const command of ALL) {
    it(`has help and a version, and names arguments that it does not know: ${command}`, async () => {
      const help = await run(command, '--help')
      assert.match(help.lines[0] ?? '', new RegExp(`^myesi-gateway ${command}`))
      assert.match(help.lines.join(' '), /Exit code: 0/)
      assert.equal((await help.exited).code, 0)
      assert.deepEqual((await run(command, '--version')).lines, [VERSION])
      assert.equal(await codeOf(run(command, '--wrong')), 64)
      assert.equal(await codeOf(run(command, 'a', 'b', 'c')), 64)
    })
  }
})

describe('myesi-gateway', () => {
  it('lists its commands and their exit codes, and prints its version', async () => {
    const help = await run('--help')
    assert.match(help.lines.join('\n'), /^ {2}check +checks a gateway\.yaml$/m)
    assert.match(help.lines.join('\n'), /Exit codes: 0 success, .*64 .*78/s)
    assert.deepEqual((await run('-v')).lines, [VERSION])
  })

  for (const [args, answer] of [
    [['chekc'], 'There is no command "chekc"; did you mean check?'],
    [['constructor'], 'There is no command "constructor".'],
    [['--versoin'], 'Unknown option --versoin; did you mean --version?'],
    [['check', '--quite'], 'Unknown option --quite; did you mean --quiet?'],
    [['completion', 'fisch'], 'No completion for "fisch"; did you mean fish?'],
    [['check', 'a', 'b'], 'One file at a time.'],
  ] as const) {
    it(`refuses ${args.join(' ')} and suggests the nearest name`, async () => {
      const child = await run(...(args as unknown as [string]))
      assert.equal(child.lines[0], answer)
      assert.equal((await child.exited).code, 64)
    })
  }

  it('checks a file with few modules, none of a server or an SDK, and little processor time', async () => {
    const report = join(temporaryFolder(), 'report.cjs')
    writeFileSync(
      report,
      `process.on('exit', () => {
        const { user, system } = process.cpuUsage()
        console.log(JSON.stringify({ ms: (user + system) / 1000, loaded: Object.keys(require.cache) }))
      })`,
    )
    const measure = async (...args: readonly string[]): Promise<{ ms: number; loaded: string[] }> => {
      const command = { name: 'node', path: process.execPath, args: ['--require', report, ...args] }
      return JSON.parse((await runProcess(command)).lines.at(-1) ?? '') as { ms: number; loaded: string[] }
    }
    const file = fileWith(GOOD)
    // The first run compiles. Processor time grows with the load of a machine, that of Node alone too.
    await measure(PROGRAM, 'check', file)
    const ratios: number[] = []
    for (let i = 0; i < 4; i++) {
      const { ms, loaded } = await measure(PROGRAM, 'check', file)
      const needless = /node_modules.(?:express|jose|undici|ioredis|pino|@opentelemetry.(?!api\b)[\w-]+)[\\/]/
      assert.deepEqual(
        loaded.filter(path => needless.test(path)),
        [],
      )
      // 446 when this was written; the time grows with their number.
      assert.ok(loaded.length < 480, `${loaded.length} modules`)
      ratios.push(ms / (await measure('--eval', '0')).ms)
    }
    // Node alone takes about 23 ms of an idle processor, and a check 200 to 240.
    assert.ok(Math.min(...ratios) < 15, `${ratios.join(', ')} times the processor time of Node alone`)
  })
})

describe('myesi-gateway completion', () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    it(`completes commands and their options in ${shell}`, async () => {
      const script = (await run('completion', shell)).lines.join('\n')
      for (const word of ['explain', 'hash-key', 'quiet', 'header', 'zsh']) assert.ok(script.includes(word), word)
    })
  }

  it('completes in bash the options of the command that was typed', async () => {
    const script = (await run('completion', 'bash')).lines.join('\n')
    const typed = 'COMP_WORDS=(myesi-gateway check --q); COMP_CWORD=2; _myesi_gateway; printf "%s\\n" "${COMPREPLY[@]}"'
    const bash = await runProcess({ name: 'bash', path: 'bash', args: ['-c', `${script}\n${typed}`] })
    assert.deepEqual(bash.lines, ['--quiet'])
  })
})

describe('myesi-gateway init', () => {
  it('writes a commented file that passes check, and never overwrites one', async () => {
    const file = join(temporaryFolder(), 'gateway.yaml')
    const child = await run('init', '--file', file, '--upstream', 'http://127.0.0.1:9007', '--path', '/shop')
    assert.equal(child.exit?.code, 0, child.lines.join('\n'))
    const written = readFileSync(file, 'utf8')
    assert.match(written, /^ {6}- http:\/\/127\.0\.0\.1:9007$/m)
    assert.match(written, /match: \{ path: \/shop \}/)
    assert.match(written, /limit: 100, window: 1m/)
    assert.ok(written.split('\n').filter(line => line.trim().startsWith('#')).length > 5)
    assert.equal(await codeOf(run('check', file)), 0)
    assert.equal(await codeOf(run('init', '--file', file)), 73)
    assert.equal(readFileSync(file, 'utf8'), written)
  })

  it('asks on a terminal, takes answers that are pasted at once, and writes nothing if the questions are aborted', async () => {
    const folder = temporaryFolder()
    // `script` (util-linux) runs a command on a terminal of its own.
    const onTerminal = async (answers: string, file: string): Promise<string> => {
      const command = `printf '${answers}' | script -qec "'${process.execPath}' '${PROGRAM}' init --file ${file}; echo code=\\$?" /dev/null`
      const child = await runProcess({ name: 'script', path: 'bash', args: ['-c', command], cwd: folder })
      return child.lines.join('\n')
    }
    assert.match(await onTerminal('http://127.0.0.1:9007\\n/shop\\n\\n', 'a.yaml'), /Where do requests go\?[^]*code=0/)
    const written = readFileSync(join(folder, 'a.yaml'), 'utf8')
    for (const text of ['http://127.0.0.1:9007', '/shop', 'limit: 100']) assert.ok(written.includes(text), text)
    assert.match(await onTerminal('http://127.0.0.1:9007\\n\\004', 'b.yaml'), /b\.yaml was not written\.[^]*code=1/)
    assert.equal(existsSync(join(folder, 'b.yaml')), false)
  })

  it('accepts 0 for no limit, and refuses answers that would make an invalid gateway.yaml', async () => {
    const folder = temporaryFolder()
    assert.equal(await codeOf(run('init', '--file', join(folder, 'a.yaml'), '--limit', '0')), 0)
    assert.equal(await codeOf(run('check', join(folder, 'a.yaml'))), 0)
    for (const args of [
      ['--upstream', 'nonsense'],
      ['--path', 'no-slash'],
      ['--limit', 'many'],
      ['--path', '/a }, x: { y: 1'],
    ]) {
      assert.equal(await codeOf(run('init', '--file', join(folder, 'b.yaml'), ...args)), 64, args.join(' '))
      assert.equal(existsSync(join(folder, 'b.yaml')), false)
    }
  })
})

describe('myesi-gateway schema', () => {
  it('prints the schema that the package contains as a file', async () => {
    const shipped = readFileSync(resolve(__dirname, '../../../docs/gateway.schema.json'), 'utf8')
    const child = await run('schema')
    assert.deepEqual(JSON.parse(child.lines.join('\n')), JSON.parse(shipped))
  })
})
