import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { hashApiKey, keyProblem, newApiKey } from '../../../src/cli/hash-key'
import { configOf, gatewayYaml } from '../config/gateway-yaml'

const PROGRAM = join(__dirname, '../../../../bin/myesi-gateway.cjs')

function run(args: readonly string[], input = ''): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [PROGRAM, 'hash-key', ...args], { input, encoding: 'utf8' })
}

describe('myesi-gateway hash-key', () => {
  it('prints a line that gateway.yaml takes, for the key on standard input', () => {
    const key = 'correct-horse-battery-staple'
    const { status, stdout } = run([], `${key}\n`)
    assert.deepEqual([status, stdout], [0, `apiKeys: ["${hashApiKey(key)}"]\n`])
    configOf(gatewayYaml({ upstreams: `consumers: { acme: { ${stdout.trim()} } }`, route: 'auth: { apiKey: {} }' }))
  })

  it('makes a key, and prints it once together with its line', () => {
    const { status, stdout } = run(['--new'])
    const [, key = '', line] = /^key \(shown only once\): (\S+)\n(.*)\n$/.exec(stdout) ?? []
    assert.equal(status, 0)
    assert.match(key, /^myesi_[\w-]{43}$/)
    assert.equal(line, `apiKeys: ["${hashApiKey(key)}"]`)
    assert.notEqual(newApiKey(), newApiKey())
  })

  it('refuses what could be guessed, and does not repeat it', () => {
    for (const key of ['', 'short', 'a'.repeat(40), 'with spaces in it and long enough', 'gruß-aus-münchen-an-alle']) {
      const { status, stdout, stderr } = run([], key)
      assert.deepEqual([status, stdout, stderr], [1, '', `${keyProblem(key)}\n`])
    }
  })

  it('takes no key as an argument', () => {
    const { status, stdout, stderr } = run(['correct-horse-battery-staple'])
    assert.deepEqual([status, stdout], [64, ''])
    assert.match(stderr, /never an argument/)
    assert.doesNotMatch(stderr, /correct-horse/)
  })
})
