import assert from 'node:assert/strict'
import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { send } from '../support/send'
import { plainEnvironment, runProcess, startProcess, type TestProcess } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

/** Compiled, this file is dist/test/process/package.test.js. */
const ROOT = resolve(__dirname, '../../..')

interface PackedFile {
  readonly path: string
  readonly mode: number
}

/** Runs `npm pack` without its scripts: the sources are compiled already, and other tests read `dist`. */
function pack(folder: string): { tarball: string; files: readonly PackedFile[] } {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: plainEnvironment({ npm_config_offline: 'true' }),
    shell: process.platform === 'win32',
  })
  assert.equal(status, 0, stderr)
  const answer = JSON.parse(stdout) as unknown
  const [packed] = (Array.isArray(answer) ? answer : Object.values(answer as object)) as [
    { filename: string; files: PackedFile[] },
  ]
  return { tarball: join(folder, packed.filename), files: packed.files }
}

/**
 * Creates what `npm install` of the package would create in an empty folder, without a network: the package, and links to
 * the production dependencies that are installed here. No other module can be resolved.
 */
function install(tarball: string, folder: string): void {
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'myesi-gateway')
  mkdirSync(own, { recursive: true })
  const unpacked = spawnSync('tar', ['-xzf', tarball, '-C', own, '--strip-components=1'], { encoding: 'utf8' })
  assert.equal(unpacked.status, 0, unpacked.stderr)
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>
  }
  for (const [path, { dev, optional }] of Object.entries(lock.packages)) {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? []
    if (name === undefined || dev === true || optional === true) continue
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, path), join(modules, name), 'junction')
  }
  const { bin } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  mkdirSync(join(modules, '.bin'))
  for (const [name, path] of Object.entries(bin)) symlinkSync(join(own, path), join(modules, '.bin', name))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
}

describe('the npm package, installed in an empty folder', function () {
  this.timeout(120_000)
  let folder: string
  let files: readonly PackedFile[]

  const npx = (...args: readonly string[]): Parameters<typeof runProcess>[0] => ({
    name: 'npx',
    path: 'npx',
    args: ['--no-install', 'myesi-gateway', ...args],
    cwd: folder,
    env: plainEnvironment({ PORT: '0', OPS_PORT: '0', HOST: '127.0.0.1', npm_config_offline: 'true' }),
  })

  before(() => {
    folder = temporaryFolder()
    const packed = pack(temporaryFolder())
    files = packed.files
    install(packed.tarball, folder)
  })

  it('contains what it needs, and neither tests nor sources', () => {
    const paths = files.map(({ path }) => path)
    for (const path of [
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'package.json',
      'bin/myesi-gateway.cjs',
      'dist/src/main.js',
      'dist/src/index.js',
      'dist/src/index.d.ts',
      'dist/otel/sdk/register.js',
      'docs/gateway.schema.json',
      'monitoring/alert_rules.yml',
    ]) {
      assert.ok(paths.includes(path), path)
    }
    const needless = paths.filter(path =>
      /(?<!\.d)\.ts$|\.map$|tsbuildinfo|^dist\/(test|tools)\/|^(src|test|bench)\//.test(path),
    )
    assert.deepEqual(needless, [])
    assert.equal(files.find(({ path }) => path === 'bin/myesi-gateway.cjs')!.mode & 0o111, 0o111)
  })

  it('writes a file, checks it and serves with it; SIGTERM ends it with 0', async () => {
    const upstream = await startUpstream((request, response) => response.end(`upstream saw ${request.url}`))
    const init = await runProcess(npx('init', '--upstream', upstream.url, '--path', '/shop'))
    assert.equal(init.exit?.code, 0, init.lines.join('\n'))
    assert.ok(readdirSync(folder).includes('gateway.yaml'))
    assert.match(readFileSync(join(folder, 'gateway.yaml'), 'utf8'), /\$schema=node_modules\/myesi-gateway\/docs\//)
    const check = await runProcess(npx('check'))
    assert.deepEqual([check.lines, check.exit?.code], [['gateway.yaml is valid: 1 route, 1 upstream.'], 0])

    // Does not use npx, because its shell would receive the signal first.
    const gateway = startProcess({ ...npx(), path: join(folder, 'node_modules/.bin/myesi-gateway'), args: [] })
    const { port } = await gateway.waitForLog('listening', entry => entry['event'] === 'listening')
    const response = await send(Number(port), '/shop/7')
    assert.equal(response.text, 'upstream saw /shop/7')
    const started = gateway.logs.find(entry => entry['msg'] === 'telemetry started')
    assert.ok(started, 'telemetry is preloaded')
    assert.equal(
      gateway.logs.find(entry => /not instrumented/.test(String(entry['msg']))),
      undefined,
    )
    if (process.platform === 'linux') {
      const commandLine = readFileSync(`/proc/${gateway.pid}/cmdline`, 'utf8')
      assert.match(
        commandLine,
        /--min-semi-space-size=16\0--require\0.*register\.js\0/,
        'the process itself is the gateway',
      )
    }
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null })
    await upstream.stop()
  })

  it('passes on the exit code of a gateway that does not start', async () => {
    const broken = join(folder, 'broken.yaml')
    writeFileSync(broken, 'routes: 1\n')
    assert.equal((await runProcess(npx('start', broken))).exit?.code, 78)
  })

  it('runs all other commands', async () => {
    const file = join(folder, 'other.yaml')
    assert.equal((await runProcess(npx('init', '--file', file))).exit?.code, 0)
    for (const args of [
      ['routes', file],
      ['explain', '/api', '--file', file],
      ['budget', file],
      ['schema'],
      ['hash-key', '--new'],
      ['monitoring', file, '--out', join(folder, 'monitoring')],
      ['completion', 'zsh'],
      ['incidents', '--help'],
    ]) {
      const child: TestProcess = await runProcess(npx(...args))
      assert.equal(child.exit?.code, 0, `${args.join(' ')}: ${child.lines.join('\n')}`)
    }
    const inside = await runProcess(npx('monitoring', file))
    assert.equal(inside.exit?.code, 64, 'writes nothing into the package')
  })

  it('supports what docs/extending.md describes: a policy with its test, and an embedded gateway', async () => {
    const doc = readFileSync(join(ROOT, 'docs/extending.md'), 'utf8')
    const code = (heading: string): string =>
      new RegExp(`^## ${heading}\n.*?^\`\`\`ts\n(.*?)^\`\`\``, 'ms').exec(doc)?.[1] ?? ''
    const node = (...args: readonly string[]): Promise<TestProcess> =>
      runProcess({ name: 'node', path: process.execPath, args, cwd: folder })
    copyFileSync(join(ROOT, 'docs/examples/acme-tenant.mts'), join(folder, 'acme-tenant.mts'))
    writeFileSync(join(folder, 'tenant.test.mts'), code('Tests of your own'))
    const tested = await node('--test', 'tenant.test.mts')
    assert.equal(tested.exit?.code, 0, tested.lines.join('\n'))

    const upstream = await startUpstream((_request, response) => response.end('embedded'))
    const program = code('Embed').replace('http://127.0.0.1:9001', upstream.url).replace('8000', "0, '127.0.0.1'")
    assert.ok(program.trim().split('\n').length <= 12, 'about ten lines')
    writeFileSync(
      join(folder, 'embedded.mts'),
      `${program}
      await new Promise(resolve => gateway.server.once('listening', resolve))
      const response = await fetch(\`http://127.0.0.1:\${gateway.server.address().port}/shop\`)
      console.log(await response.text())
      process.kill(process.pid, 'SIGTERM')
      process.once('exit', () => console.log('ended by itself'))`,
    )
    const embedded = await node('embedded.mts')
    assert.deepEqual([embedded.lines, embedded.exit?.code], [['embedded', 'ended by itself'], 0])
    await upstream.stop()
  })

  it('has types that compile without the types of its dependencies', async () => {
    copyFileSync(join(ROOT, 'docs/examples/acme-tenant.mts'), join(folder, 'acme-tenant.mts'))
    writeFileSync(
      join(folder, 'typed.mts'),
      `import { createGateway, definePolicy, z, type PolicyContext } from 'myesi-gateway'
      import { createTestGateway } from 'myesi-gateway/testing'
      export const policy = definePolicy({
        name: 'acme-typed',
        schema: z.strictObject({ word: z.string() }),
        create: ({ word }) => ({ onRequest: (context: PolicyContext) => context.respond({ status: 200, body: word.trim() }) }),
      })
      // @ts-expect-error a string has no such method
      definePolicy({ name: 'acme-wrong', schema: z.string(), create: word => ({ onEnd: () => word.nonsense() }) })
      void createGateway({ config: 'gateway.yaml' })
      void createTestGateway({ policies: [policy] })`,
    )
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const typeRoots = ['--typeRoots', join(ROOT, 'node_modules/@types')]
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const args = [
      compiler,
      ...options,
      ...typeRoots,
      '--skipLibCheck',
      '--ignoreConfig',
      'typed.mts',
      'acme-tenant.mts',
    ]
    const compiled = await runProcess({ name: 'tsc', path: process.execPath, args, cwd: folder })
    assert.equal(compiled.exit?.code, 0, compiled.lines.join('\n'))
  })

  it('runs on its bundled Node when the installed one is too old, else names the required version', () => {
    const program = join(folder, 'node_modules/myesi-gateway/bin/myesi-gateway.cjs')
    const run = (): SpawnSyncReturns<string> => {
      const old = 'Object.defineProperty(process.versions, "node", { value: "18.20.4" })'
      const code = `${old}; process.argv.splice(1, 0, "x"); require(${JSON.stringify(program)})`
      return spawnSync(process.execPath, ['-e', code, '--', '--version'], { encoding: 'utf8', env: plainEnvironment() })
    }
    const refused = run()
    assert.equal(refused.status, 78)
    assert.match(refused.stderr, /^myesi-gateway needs Node \^22\.22\.2 .*; this is Node 18\.20\.4 /)

    const system = process.platform === 'win32' ? 'win' : process.platform
    const name = readdirSync(join(ROOT, 'node_modules')).find(
      found => found.replace(/^node-(bin-)?/, '') === `${system}-${process.arch}`,
    )
    if (name === undefined) return // No package brings a Node for this system.
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
    const { status, stdout, stderr } = run()
    assert.deepEqual([status, stdout], [0, `${readVersion()}\n`], stderr)
  })
})

function readVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
}
