import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { BinaryMissing, findBinary, type BinaryName } from '../../../../tools/stack/binaries'
import { ALERTMANAGER_MODULE, PROMETHEUS_MODULE, moduleFolder } from '../../../../tools/stack/module-build'
import { temporaryFolder } from '../../../support/temporary-folder'

/** Programs that answer `--version` as those of Prometheus and Alertmanager do. */
const BUILDS_THE_PROGRAMS = `
for last; do
  case "$last" in
    -o=*) output=\${last#-o=} ;;
    ./cmd/*) name=\${last#./cmd/}
      printf '#!/bin/sh\\necho "%s, version 3.16.0 (branch: )"\\n' "$name" > "$output/$name"
      chmod +x "$output/$name" ;;
  esac
done`

interface FakeGo {
  readonly go: string
  /** What it was called with, one line each. */
  readonly calls: () => string[]
  /** Its module cache: a folder that cannot be written to. */
  readonly module: string
}

const readOnlyFolders: string[] = []

/** Stands for Go: downloads a read-only module, then does `builds` in a copy of it. */
function writeFakeGo(builds: string): FakeGo {
  const folder = temporaryFolder()
  const notes = join(folder, 'calls')
  const module = join(folder, 'module')
  mkdirSync(join(module, 'ui'), { recursive: true })
  writeFileSync(join(module, 'ui', 'ui.go'), 'package ui\n', { mode: 0o444 })
  for (const folder of [join(module, 'ui'), module]) chmodSync(folder, 0o555)
  readOnlyFolders.push(module, join(module, 'ui'))
  const go = join(folder, 'go')
  const script = [
    '#!/bin/sh',
    `echo "$@" >> ${notes}`,
    `if [ "$1" = mod ]; then echo 'go: downloading …' >&2; printf '{\\n\\t"Dir": "%s",\\n\\t"Sum": ""\\n}\\n' ${module}; exit; fi`,
    builds,
  ]
  writeFileSync(go, `${script.join('\n')}\n`, { mode: 0o755 })
  return { go, module, calls: () => (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : []) }
}

describe('building Prometheus and Alertmanager', () => {
  const log = (): void => undefined

  // Their temporary folders could not be removed otherwise.
  after(() => readOnlyFolders.forEach(folder => chmodSync(folder, 0o755)))

  it('happens once for the programs of one module, which are found from then on', async () => {
    const cacheFolder = join(temporaryFolder(), 'not', 'there', 'yet')
    const { go, calls } = writeFakeGo(BUILDS_THE_PROGRAMS)
    const find = async (name: BinaryName) => findBinary(name, { searchPath: '', cacheFolder, go, log })
    const [prometheus, promtool] = await Promise.all([find('prometheus'), find('promtool')])
    const path = join(cacheFolder, moduleFolder(PROMETHEUS_MODULE), 'prometheus')
    assert.deepEqual(prometheus, { name: 'prometheus', path, version: '3.16.0', origin: 'built' })
    assert.equal(promtool?.origin, 'built')
    assert.deepEqual(await find('prometheus'), prometheus)
    assert.deepEqual(
      calls().map(call => call.split(' ')[0]),
      ['mod', 'build'],
    )
    assert.match(calls()[0] ?? '', /github\.com\/prometheus\/prometheus@v0\.316\.0$/)
    assert.match(
      calls()[1] ?? '',
      / -tags=builtinassets,remove_all_sd,enable_dns_sd .* \.\/cmd\/prometheus \.\/cmd\/promtool$/,
    )
    assert.deepEqual(readdirSync(cacheFolder), [moduleFolder(PROMETHEUS_MODULE)])
  })

  it('adds pages that say why there are none, in a copy of the read-only module', async () => {
    const cacheFolder = temporaryFolder()
    const keeps = 'cp -r ui "$(dirname "$PWD")/output/ui"'
    const { go, module } = writeFakeGo(`${BUILDS_THE_PROGRAMS}\n${keeps}`)
    await findBinary('alertmanager', { searchPath: '', cacheFolder, go, log })
    const dist = join(cacheFolder, moduleFolder(ALERTMANAGER_MODULE), 'ui/app/dist')
    for (const ui of ['elm', 'mantine']) {
      const page = gunzipSync(readFileSync(join(dist, ui, 'index.html.gz'))).toString()
      assert.match(page, /This Alertmanager has no web pages/)
      assert.match(page, /href="\/api\/v2\/alerts"/)
      assert.equal(brotliDecompressSync(readFileSync(join(dist, ui, 'index.html.br'))).toString(), page)
    }
    assert.deepEqual(readdirSync(join(module, 'ui')), ['ui.go'])
  })

  it('says why it failed, and leaves nothing behind', async () => {
    const cacheFolder = temporaryFolder()
    const { go } = writeFakeGo('echo "cmd/amtool: no space left on device" >&2; exit 1')
    await assert.rejects(findBinary('amtool', { searchPath: '', cacheFolder, go, log }), (error: unknown) => {
      assert.ok(error instanceof BinaryMissing)
      assert.match(error.message, /^amtool: could not be built: .*no space left on device.* To get it: .*install Go/)
      return true
    })
    assert.deepEqual(readdirSync(cacheFolder), [])
  })

  it('says how to get the program where there is no Go', async () => {
    const options = { searchPath: '', cacheFolder: temporaryFolder(), go: undefined, log }
    await assert.rejects(
      findBinary('prometheus', options),
      /^BinaryMissing: prometheus: not found on the PATH, nor Go to build it with\. To get it: .*prometheus\.io\/download.*install Go/,
    )
  })

  it('replaces a damaged result, and removes what a killed build left more than 40 minutes ago', async () => {
    const cacheFolder = temporaryFolder()
    const target = join(cacheFolder, moduleFolder(PROMETHEUS_MODULE))
    mkdirSync(target)
    const [old, young] = [`${target}.draft-old`, `${target}.draft-young`]
    for (const draft of [old, young]) mkdirSync(draft)
    const anHourAgo = Date.now() / 1000 - 3600
    utimesSync(old, anHourAgo, anHourAgo)
    const { go } = writeFakeGo(BUILDS_THE_PROGRAMS)
    const { version } = await findBinary('promtool', { searchPath: '', cacheFolder, go, log })
    assert.equal(version, '3.16.0')
    assert.deepEqual([existsSync(old), existsSync(young)], [false, true])
  })
})
