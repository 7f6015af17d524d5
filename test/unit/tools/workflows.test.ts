import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Compiled, this file is dist/test/unit/tools/workflows.test.js. */
const WORKFLOWS = resolve(__dirname, '../../../../.github/workflows')

describe('the workflows', () => {
  const used = readdirSync(WORKFLOWS).flatMap(file =>
    [...readFileSync(join(WORKFLOWS, file), 'utf8').matchAll(/\buses: (.+)$/gm)].map(([, action = '']) => ({
      file,
      action,
    })),
  )

  it('pin every action by its commit, and name the release', () => {
    assert.ok(used.length > 10)
    for (const { file, action } of used) {
      if (action.startsWith('./')) continue
      assert.match(action, /^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, file)
    }
  })

  it('use one version of each action', () => {
    const versions = new Map<string, Set<string>>()
    for (const { action } of used) {
      const [, repository = '', version = ''] = /^([\w.-]+\/[\w.-]+)[^@]*@(.*)$/.exec(action) ?? []
      if (repository === '') continue
      versions.set(repository, (versions.get(repository) ?? new Set()).add(version))
    }
    for (const [repository, found] of versions) assert.equal(found.size, 1, `${repository}: ${[...found].join(', ')}`)
  })
})
