import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { temporaryFolder } from '../../support/temporary-folder'

const ROOT = resolve(__dirname, '../../../..')

/** Files with one import each, which the table in `oxlint.config.mts` forbids or allows. */
const FORBIDDEN = {
  'src/upstream/a.ts': '../policies/rate-limit/policy',
  'src/upstream/b/c.ts': '../../gateway',
  'src/policies/cors/a.ts': '../auth/policy',
  'src/routing/a.ts': '@opentelemetry/sdk-metrics',
  'src/redis/a.ts': '../../otel/sdk/start',
  'otel/sdk/a.ts': '../../src/config/types',
  'tools/demo/a.ts': '../../test/support/until',
}
const ALLOWED = {
  'src/upstream/d.ts': '../config/types',
  'src/policies/cors/b.ts': '../auth/schema',
  'src/policies/slo/c.ts': '../../slo/slo-schema',
  'src/routing/b.ts': '@opentelemetry/api',
  'src/main.ts': '../otel/sdk/start',
}

describe('the boundaries between the rooms of src', function () {
  this.timeout(20_000)
  this.slow(5_000)

  it('are enforced by the linter: a forbidden import is an error, an allowed one is not', async () => {
    const folder = temporaryFolder()
    for (const [file, imported] of Object.entries({ ...FORBIDDEN, ...ALLOWED })) {
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), `import '${imported}'\n`)
    }
    copyFileSync(join(ROOT, 'oxlint.config.mts'), join(folder, 'oxlint.config.mts'))
    const restricted = await filesWithRestrictedImports(folder)
    assert.deepEqual(restricted, Object.keys(FORBIDDEN).toSorted())
  })
})

async function filesWithRestrictedImports(folder: string): Promise<string[]> {
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint')
  const output = await new Promise<string>(settle => {
    execFile(process.execPath, [oxlint, '--format', 'json'], { cwd: folder }, (_failed, stdout) => settle(stdout))
  })
  const { diagnostics } = JSON.parse(output) as { diagnostics: { code: string; filename: string }[] }
  const found = diagnostics.filter(({ code }) => code.includes('no-restricted-imports'))
  return [...new Set(found.map(({ filename }) => filename))].toSorted()
}
