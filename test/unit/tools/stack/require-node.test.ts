import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { problemWithNode } from '../../../../tools/stack/require-node'

describe('the Node that runs a script', () => {
  it('may be the one of package.json or a later one', () => {
    const { engines } = JSON.parse(readFileSync(join(__dirname, '../../../../../package.json'), 'utf8')) as {
      engines: { node: string }
    }
    const least = engines.node.split(' || ').map(range => range.replace(/^(?:\^|>=)/, ''))
    assert.deepEqual(least, ['22.22.2', '24.14.1', '25.8.2'])
    for (const version of [...least, '22.23.0', '24.21.0', '26.0.0']) {
      assert.equal(problemWithNode(version), undefined, version)
    }
  })

  it('is told what to do when it is older', () => {
    for (const version of ['18.20.4', '20.20.2', '22.22.1', '23.11.1', '24.0.0', '24.14.0', '25.8.1']) {
      assert.match(problemWithNode(version) ?? '', new RegExp(`^This is Node ${version}; .*npm rebuild`))
    }
  })
})
