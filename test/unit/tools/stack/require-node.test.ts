import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { problemWithNode } from '../../../../tools/stack/require-node'

describe('the Node that runs a script', () => {
  it('may be the one of package.json or a later one', () => {
    const { engines } = JSON.parse(readFileSync(join(__dirname, '../../../../../package.json'), 'utf8')) as {
      engines: { node: string }
    }
    const [, least = ''] = /^>=(\d+\.\d+)$/.exec(engines.node) ?? []
    for (const version of [`${least}.0`, '22.20.1', '24.0.0', '26.1.0']) {
      assert.equal(problemWithNode(version), undefined, version)
    }
  })

  it('is told what to do when it is older', () => {
    for (const version of ['18.20.4', '20.20.2', '22.18.9']) {
      assert.match(problemWithNode(version) ?? '', new RegExp(`^This is Node ${version}; .*npm rebuild`))
    }
  })
})
