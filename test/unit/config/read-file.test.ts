import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { giveUpAfter, MAX_FILE_BYTES, readFileBounded, statBounded } from '../../../src/config/read-file'
import { temporaryFolder } from '../../support/temporary-folder'
import { until } from '../../support/until'

describe('a file of the configuration', () => {
  let path: string

  beforeEach(() => {
    path = join(temporaryFolder(), 'file')
  })

  it('is read as it is, up to a bound', async () => {
    const content = Buffer.alloc(MAX_FILE_BYTES, 'x')
    writeFileSync(path, content)
    assert.ok((await readFileBounded(path)).equals(content))
    writeFileSync(path, Buffer.concat([content, Buffer.from('x')]))
    await assert.rejects(readFileBounded(path), /has 1048577 bytes; allowed: at most 1048576/)
  })

  it('on a mount that hangs is given up, and not asked for again before the mount answers', async () => {
    writeFileSync(path, 'here')
    let answer = (_content: string): void => {}
    const hanging = new Promise<string>(resolve => (answer = resolve))
    await assert.rejects(giveUpAfter(5, path, hanging), /could not be read in time: its file system does not respond/)
    await assert.rejects(readFileBounded(path), /could not be read in time/)
    await assert.rejects(statBounded(path), /could not be read in time/)
    answer('at last')
    const content = await until(() => readFileBounded(path), { what: 'the file is read again' })
    assert.equal(content.toString(), 'here')
  })

  it('cannot be a directory', async () => {
    await assert.rejects(readFileBounded(temporaryFolder()), /is a directory; allowed: a regular file/)
  })
})
