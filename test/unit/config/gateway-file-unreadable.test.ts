import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readGatewayFile } from '../../../src/config/gateway-file'
import type { ConfigProblem } from '../../../src/config/types'
import { temporaryFolder } from '../../support/temporary-folder'
import { problemsIn } from './gateway-yaml'

describe('a routes file that cannot be read', () => {
  let file: string

  beforeEach(() => {
    file = join(temporaryFolder(), 'gateway.yaml')
  })

  async function onlyProblem(path: string): Promise<ConfigProblem> {
    const { config, problems } = await readGatewayFile(path, {})
    assert.equal(config, undefined)
    assert.equal(problems.length, 1)
    assert.equal(problems[0]?.where, path)
    return problems[0]
  }

  it('is missing', async () => {
    assert.equal((await onlyProblem(file)).problem, 'there is no such file')
    assert.equal((await onlyProblem(join(file, 'below'))).problem, 'there is no such file')
  })

  it('is a directory', async () => {
    mkdirSync(file)
    assert.equal((await onlyProblem(file)).problem, 'this is a directory')
  })

  it('is a pipe, which would be waited for without end', async function () {
    if (process.platform === 'win32') this.skip()
    execFileSync('mkfifo', [file])
    const { problem, allowed } = await onlyProblem(file)
    assert.deepEqual([problem, allowed], ['this is a pipe (FIFO)', 'a regular file'])
  })

  it('is a device', async function () {
    if (process.platform === 'win32') this.skip()
    assert.equal((await onlyProblem('/dev/zero')).problem, 'this is a device')
  })

  it('is not for this user to read', async function () {
    writeFileSync(file, '')
    chmodSync(file, 0o000)
    const isReadableAnyway = process.platform === 'win32' || process.getuid?.() === 0
    const { problem } = await onlyProblem(file)
    assert.equal(problem, isReadableAnyway ? 'the file is empty' : 'the file may not be read')
  })

  for (const [what, text] of [
    ['empty', ''],
    ['only comments', '# upstreams:\n'],
    ['only white space', ' \n\n'],
  ] as const) {
    it(`is ${what}`, async () => {
      writeFileSync(file, text)
      assert.equal((await onlyProblem(file)).problem, 'the file is empty')
    })
  }

  it('is not UTF-8', async () => {
    writeFileSync(file, Buffer.from('upstreams: caf\xe9\n', 'latin1'))
    assert.equal((await onlyProblem(file)).problem, 'the file is not UTF-8')
  })

  it('is too large to be one', async () => {
    writeFileSync(file, '#'.repeat(1_048_577))
    assert.equal((await onlyProblem(file)).problem, 'the file has 1048577 bytes')
  })
})

describe('a text that is not gateway.yaml', () => {
  const rows: readonly (readonly [string, string, string, RegExp])[] = [
    ['a tab', 'upstreams:\n\ta: 1\n', 'gateway.yaml:2:1', /^this is not YAML: Tabs are not allowed as indentation$/],
    ['a bracket left open', 'upstreams: [\n', 'gateway.yaml:2:1', /^this is not YAML: /],
    ['a mapping in a mapping', 'a: b: c\n', 'gateway.yaml:1:4', /^this is not YAML: Nested mappings/],
    ['two documents', 'a: 1\n---\nb: 2\n', 'gateway.yaml:2:1', /^a second document begins$/],
    ['an unknown anchor', 'routes: *nowhere\n', 'gateway.yaml:1:9', /^"\*nowhere" refers to an anchor/],
    ['brackets without end', '['.repeat(1_000), 'gateway.yaml:1:101', /^the file is nested too deeply$/],
    ['a list', '- a\n', 'gateway.yaml:1:1', /^a list is not a map$/],
    ['a word', 'hello\n', 'gateway.yaml:1:1', /^"hello" is not a map$/],
  ]
  for (const [what, text, where, problem] of rows) {
    it(`is refused once, at its place: ${what}`, () => {
      const problems = problemsIn(text)
      assert.equal(problems.length, 1)
      assert.ok(problems[0]?.where.startsWith(where), problems[0]?.where)
      assert.match(problems[0]?.problem ?? '', problem)
    })
  }

  it('is refused before a few aliases become a great many values', () => {
    const lines = ['a0: &a0 [x]']
    for (let level = 1; level < 12; level++) lines.push(`a${level}: &a${level} [${`*a${level - 1},`.repeat(9)}]`)
    assert.match(problemsIn(lines.join('\n'))[0]?.problem ?? '', /alias/)
  })

  it('is refused with a tag of its own', () => {
    const problems = problemsIn('upstreams: { a: !vault { targets: [http://h] } }\nroutes: []\n')
    const problem = problems.find(({ where }) => where === 'gateway.yaml:1:17')
    assert.match(problem?.problem ?? '', /^this is not YAML: Unresolved tag: !vault/)
  })
})
