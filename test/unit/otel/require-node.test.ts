import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { problemWithNode } from '../../../otel/sdk/require-node'

const ROOT = join(__dirname, '../../../..')

describe('the Node that telemetry is preloaded into', () => {
  it('may be the one of package.json or a later one', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
    const least = engines.node.split(' || ').map(range => range.replace(/^(?:\^|>=)/, ''))
    assert.deepEqual(least, ['22.22.2', '24.14.1', '25.8.2'])
    for (const version of [...least, '22.23.0', '24.21.0', '26.0.0']) {
      assert.equal(problemWithNode(version), undefined, version)
    }
  })

  it('is told what to do when it is older', () => {
    for (const version of ['18.20.4', '20.20.2', '22.22.1', '23.11.1', '24.0.0', '24.14.0', '25.8.1']) {
      assert.match(problemWithNode(version) ?? '', new RegExp(`this is Node ${version}, .*node_modules/.bin/node`))
    }
  })

  it('is asked before anything is loaded that an older one could not run: the process ends with 78', () => {
    const old = 'Object.defineProperty(process.versions, "node", { value: "20.20.2" })'
    const register = JSON.stringify(join(ROOT, 'dist/otel/sdk/register.js'))
    const { status, stderr } = spawnSync(process.execPath, ['-e', `${old}; require(${register})`], { encoding: 'utf8' })
    assert.equal(status, 78)
    assert.match(stderr, /^myesi-gateway does not start: this is Node 20\.20\.2[^\n]*\n$/)
  })
})
