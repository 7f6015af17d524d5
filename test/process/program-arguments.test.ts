import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { plainEnvironment, runProcess, type TestProcess } from '../support/start-process'

const DIST = resolve(__dirname, '../..')
const { version } = JSON.parse(readFileSync(join(DIST, '../package.json'), 'utf8')) as { version: string }

for (const program of ['src/main.js', 'src/incidents/main.js']) {
  describe(`node dist/${program}`, () => {
    const run = (...args: string[]): Promise<TestProcess> =>
      runProcess({
        name: program,
        path: process.execPath,
        args: [join(DIST, program), ...args],
        env: plainEnvironment(),
      })

    it('answers --help and --version', async () => {
      const help = await run('--help')
      assert.equal(help.exit?.code, 0)
      assert.match(help.lines.join('\n'), /dist\/src\/.*main\.js\n\nStarts the /)
      const answer = await run('--version')
      assert.deepEqual([answer.exit?.code, answer.lines], [0, [version]])
    })

    it('refuses unknown arguments instead of starting with the default file', async () => {
      for (const argument of ['my.yaml', '--config=my.yaml', '-x']) {
        const { exit, lines } = await run(argument)
        assert.equal(exit?.code, 64, argument)
        assert.match(lines.join('\n'), /my\.yaml" is not an argument|Unknown option/)
      }
    })
  })
}
