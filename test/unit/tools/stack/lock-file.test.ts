import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { takeLock } from '../../../../tools/stack/lock-file'
import { temporaryFolder } from '../../../support/temporary-folder'

const lines: string[] = []
const log = (line: string): void => void lines.push(line)

describe('a lock file', () => {
  let path: string

  beforeEach(() => {
    path = join(temporaryFolder(), 'a.lock')
    lines.length = 0
  })

  it('names its owner and is gone when it is given back', async () => {
    const release = await takeLock(path, { timeoutMs: 1_000, log })
    assert.equal(readFileSync(path, 'utf8'), String(process.pid))
    await release()
    assert.equal(existsSync(path), false)
  })

  it('lets one in after the other', async () => {
    let inside = 0
    let most = 0
    const enter = async (): Promise<void> => {
      const release = await takeLock(path, { timeoutMs: 10_000, log })
      most = Math.max(most, ++inside)
      await new Promise(setImmediate)
      inside--
      await release()
    }
    await Promise.all([enter(), enter(), enter()])
    assert.equal(most, 1)
    assert.match(lines[0] ?? '', /^Waiting for another process/)
  })

  it('is taken over from an owner that died', async () => {
    const dead = spawnSync(process.execPath, ['--version']).pid
    writeFileSync(path, String(dead))
    const release = await takeLock(path, { timeoutMs: 2_000, log })
    assert.equal(readFileSync(path, 'utf8'), String(process.pid))
    await release()
  })

  it('is not waited for without end', async () => {
    writeFileSync(path, String(process.pid))
    await assert.rejects(
      takeLock(path, { timeoutMs: 100, log }),
      /a\.lock is still held; if its owner is gone, delete it/,
    )
  })
})
