import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { BinaryMissing } from '../../../../tools/stack/binaries'
import { findCollector } from '../../../../tools/stack/collector'
import { temporaryFolder } from '../../../support/temporary-folder'

/** A program that says a version, and accepts every configuration or none. */
function collectorScript(version: string, accepts: boolean): string {
  const validate = accepts ? 'exit 0' : `echo "'processors' unknown type: tail_sampling" >&2; exit 1`
  return `#!/bin/sh\nif [ "$1" = validate ]; then ${validate}; fi\necho "otelcol version ${version}"\n`
}

function writeScript(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o755 })
  return path
}

/** Stands for Go: installs a Builder, whose work `builds` is; notes each call in `calls` beside it. */
function writeFakeGo(builds: string): { go: string; calls: () => string[] } {
  const folder = temporaryFolder()
  const notes = join(folder, 'calls')
  writeScript(join(folder, 'builder'), `#!/bin/sh\n${builds}\n`)
  const go = writeScript(
    join(folder, 'go'),
    `#!/bin/sh\necho "$@" >> ${notes}\ncp ${join(folder, 'builder')} "$GOBIN/builder"\n`,
  )
  return { go, calls: () => (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : []) }
}

const BUILDS_A_COLLECTOR = `mkdir dist && cat > dist/otelcol <<'EOF' && chmod +x dist/otelcol\n${collectorScript('0.161.0', true)}EOF`

describe('finding a Collector', () => {
  const log = (): void => undefined

  it('takes one on the PATH that accepts our configuration', async () => {
    const folder = temporaryFolder()
    const path = writeScript(join(folder, 'otelcol-contrib'), collectorScript('0.160.1', true))
    const collector = await findCollector({ searchPath: folder, go: undefined, log })
    assert.deepEqual(collector, { name: 'otelcol', path, version: '0.160.1', origin: 'path' })
  })

  it('passes over one that is too old for it, or lacks a part', async () => {
    const searchPath = temporaryFolder()
    const cacheFolder = temporaryFolder()
    writeScript(join(searchPath, 'otelcol'), collectorScript('0.120.0', false))
    const { go } = writeFakeGo(BUILDS_A_COLLECTOR)
    const collector = await findCollector({ searchPath, cacheFolder, go, log })
    assert.equal(collector.origin, 'built')
    assert.equal(collector.version, '0.161.0')
  })

  it('builds it once, with the Builder of the manifest’s version, and finds it from then on', async () => {
    const cacheFolder = join(temporaryFolder(), 'not', 'there', 'yet')
    const { go, calls } = writeFakeGo(BUILDS_A_COLLECTOR)
    const found = await Promise.all([1, 2].map(async () => findCollector({ searchPath: '', cacheFolder, go, log })))
    assert.deepEqual(found[0], found[1])
    assert.deepEqual(calls(), ['install go.opentelemetry.io/collector/cmd/builder@v0.161.0'])
    assert.deepEqual(readdirSync(cacheFolder), [basename(found[0]!.path)])
  })

  it('says why it could not be built, and leaves nothing behind', async () => {
    const cacheFolder = temporaryFolder()
    const { go } = writeFakeGo('echo "go: module lookup disabled" >&2; exit 1')
    await assert.rejects(findCollector({ searchPath: '', cacheFolder, go, log }), (error: unknown) => {
      assert.ok(error instanceof BinaryMissing)
      assert.match(error.message, /could not be built: .*go: module lookup disabled.*To get it: put otelcol-contrib/)
      return true
    })
    assert.deepEqual(readdirSync(cacheFolder), [])
  })

  it('says what our configuration has wrong when the one just built refuses it', async () => {
    const refusing = BUILDS_A_COLLECTOR.replace('exit 0', `echo "bad config" >&2; exit 1`)
    const { go } = writeFakeGo(refusing)
    await assert.rejects(
      findCollector({ searchPath: '', cacheFolder: temporaryFolder(), go, log }),
      /could not be built: .*bad config/s,
    )
  })

  it('says how to get it where there is no Go', async () => {
    const options = { searchPath: '', cacheFolder: temporaryFolder(), go: undefined, log }
    await assert.rejects(findCollector(options), /install Go .* and run npm run collector:build/)
  })
})
