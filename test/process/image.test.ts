import assert from 'node:assert/strict'
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { freePort } from '../support/free-port'
import { runProcess, startProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** Compiled, this file is dist/test/process/image.test.js. */
const ROOT = resolve(__dirname, '../../..')
const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')

interface Stage {
  readonly name: string
  readonly lines: readonly string[]
}

/** The stages, with continued lines joined and comments left out. */
const STAGES: readonly Stage[] = DOCKERFILE.replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split(/^(?=FROM )/m)
  .slice(1)
  .map(text => ({
    name: / AS (\w+)/.exec(text)?.[1] ?? '',
    lines: text.split('\n').filter(line => line !== ''),
  }))
const RUNTIME = STAGES.at(-1) as Stage

const instruction = (name: string, { lines }: Stage = RUNTIME): string[] =>
  lines.filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1))

// No container engine is needed: what an image is made of is read from its recipe, and its build is done in a folder.
describe('the recipe of the image', function () {
  this.timeout(120_000)

  it('builds from what .dockerignore lets in', async () => {
    const folder = temporaryFolder()
    const patterns = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
    assert.ok(patterns.includes('*'), 'everything else stays out')
    for (const path of patterns.filter(line => line.startsWith('!')).map(line => line.slice(1))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      cpSync(join(ROOT, path), join(folder, path), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
    const child = await runProcess(
      {
        name: 'tsc',
        path: process.execPath,
        args: [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--noEmit'],
        cwd: folder,
      },
      100_000,
    )
    assert.deepEqual([child.lines, child.exit?.code], [[], 0])
  })

  it('copies only what .dockerignore lets in', () => {
    const patterns = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
    const isIn = (path: string): boolean =>
      patterns.some(pattern => pattern === `!${path}` || pattern.startsWith(`!${path}/`))
    const copied = STAGES.flatMap(stage => instruction('COPY', stage))
      .filter(line => !line.startsWith('--from'))
      .flatMap(line =>
        line
          .replace(/^--\S+ /, '')
          .split(' ')
          .slice(0, -1),
      )
    assert.ok(copied.length > 5)
    assert.deepEqual(
      copied.filter(path => !isIn(path)),
      [],
    )
  })

  it('has the programs that docker-compose.yml starts from it', () => {
    const compose = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
    const programs = [...compose.matchAll(/\bdist\/(\S+)\.js\b/g)].map(([, path]) => `${path}.ts`)
    assert.ok(programs.length >= 2)
    const copied = STAGES.flatMap(stage => instruction('COPY', stage)).flatMap(line => line.split(' ').slice(0, -1))
    for (const program of programs) {
      assert.ok(
        copied.some(path => path === program || program.startsWith(`${path}/`)),
        program,
      )
    }
  })

  it('has bases that are build arguments with a full tag', () => {
    const defaults = new Map(
      [...DOCKERFILE.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)].map(([, name, image]) => [name, image]),
    )
    assert.equal(defaults.size, 2)
    for (const image of defaults.values()) assert.match(image ?? '', /^[\w./-]+:(?!latest)[\w.-]+$/)
    for (const { lines } of STAGES) {
      const [, name] = /^FROM (?:--platform=\$BUILDPLATFORM )?\$\{(\w+)\}/.exec(lines[0] ?? '') ?? []
      assert.ok(defaults.has(name), lines[0])
    }
  })

  it('ends with production dependencies, Node and the program: no npm, no compiler, no shell to call', () => {
    assert.deepEqual(instruction('RUN'), [])
    const dependencies = STAGES.find(({ name }) => name === 'dependencies')
    assert.match(instruction('RUN', dependencies).join(), /--omit=dev --omit=optional/)
    const copied = instruction('COPY').join('\n')
    assert.match(copied, /^--from=dependencies \/app\/node_modules node_modules$/m)
    assert.doesNotMatch(copied, /npm|\bsrc\b/)
    for (const name of ['CMD', 'HEALTHCHECK'])
      assert.match(instruction(name).join(), /(?:^|CMD )\[/, `${name} has no shell`)
  })

  it('runs as a numeric user that is not root, and writes nothing', () => {
    assert.match(instruction('USER').join(), /^[1-9]\d*:[1-9]\d*$/)
    assert.deepEqual(instruction('VOLUME'), [])
  })

  it('has the labels of the Open Container Initiative', () => {
    const labels = instruction('LABEL').join()
    for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'source']) {
      assert.match(labels, new RegExp(`org\\.opencontainers\\.image\\.${label}=`))
    }
  })

  it('starts, is healthy and ends with 0: its files, as its user, who may write nothing', async function () {
    if (process.platform === 'win32') this.skip() // it has neither this user nor these permissions
    const app = join(temporaryFolder(), 'app')
    chmodSync(dirname(app), 0o755)
    imageFiles(app)
    const isRoot = process.getuid?.() === 0
    const [uid, gid] = instruction('USER').join().split(':').map(Number)
    const run = (command: readonly string[], env: NodeJS.ProcessEnv = {}): TestProcess =>
      startProcess({
        name: 'image',
        path: process.execPath,
        args: command.slice(1),
        cwd: app,
        env: { NODE_ENV: 'production', ...env },
        // Others cannot choose the user; for them the files are as little theirs to write.
        ...(isRoot && { uid, gid }),
      })
    const execForm = (text: string): string[] => JSON.parse(text.slice(text.indexOf('['))) as string[]

    // The last step of the stage `dependencies`, which compiles as root.
    const [compile = ''] = instruction(
      'RUN',
      STAGES.find(({ name }) => name === 'dependencies'),
    ).slice(-1)
    const compiled = await runProcess({
      name: 'compile',
      path: process.execPath,
      args: execForm(compile).slice(1),
      cwd: app,
    })
    assert.equal(compiled.exit?.code, 0, compiled.lines.join('\n'))
    const cacheBefore = readdirSync(join(app, 'dist/.compile-cache'), { recursive: true }).length
    assert.ok(cacheBefore > 100, `${cacheBefore} compiled modules`)
    setWritable(app, false)
    try {
      const opsPort = await freePort()
      const env = { HOST: '127.0.0.1', PORT: '0', OPS_HOST: '127.0.0.1', OPS_PORT: `${opsPort}` }
      const gateway = run(execForm(instruction('CMD').join()), env)
      await gateway.waitForLog('listening', entry => entry['event'] === 'listening')
      const health = execForm(instruction('HEALTHCHECK').join())
      await until(async () => (await run(health, { OPS_PORT: `${opsPort}` }).exited).code === 0, {
        what: 'the health check passes',
        timeoutMs: 30_000,
        intervalMs: 200,
      })
      assert.equal((await gateway.stop()).code, 0, gateway.lines.join('\n'))
      assert.deepEqual(
        gateway.logs.filter(({ level }) => level === 'error').map(({ msg }) => msg),
        [],
      )
      assert.equal((await run(health, { OPS_PORT: `${opsPort}` }).exited).code, 1, 'the health check of a stopped one')
    } finally {
      setWritable(app, true)
    }
  })
})

/** The files of the runtime stage below `app`: compiled sources, production dependencies, and what is copied beside them. */
function imageFiles(app: string): void {
  mkdirSync(join(app, 'dist/tools'), { recursive: true })
  for (const path of ['dist/src', 'dist/otel', 'dist/tools/demo'])
    cpSync(join(ROOT, path), join(app, path), { recursive: true })
  for (const path of instruction('COPY').filter(line => !line.startsWith('--from'))) {
    const [, ...names] = path
      .replace(/^--\S+ /, '')
      .split(' ')
      .toReversed()
    for (const name of names) cpSync(join(ROOT, name), join(app, name), { recursive: true })
  }
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>
  }
  for (const [path, { dev, optional }] of Object.entries(lock.packages)) {
    if (!/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path) || dev === true || optional === true) continue
    mkdirSync(dirname(join(app, path)), { recursive: true })
    symlinkSync(join(ROOT, path), join(app, path), 'junction')
  }
}

/** For every user: whether files can be written and folders changed. */
function setWritable(folder: string, isWritable: boolean): void {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    if (entry.isSymbolicLink()) continue
    const mode = entry.isDirectory() ? 0o555 : 0o444
    chmodSync(join(entry.parentPath, entry.name), isWritable ? mode | 0o200 : mode)
  }
  chmodSync(folder, isWritable ? 0o755 : 0o555)
}
