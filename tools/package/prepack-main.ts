import { chmodSync, existsSync, globSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Before `npm pack`: removes what was compiled from sources that are gone. The compiler leaves it, and it would be published.
 * Compiled, this file is dist/tools/package/prepack-main.js.
 */
const ROOT = resolve(__dirname, '../../..')
const DIST = join(ROOT, 'dist')

for (const file of globSync('{src,otel}/**/*.{js,d.ts}', { cwd: DIST })) {
  const source = file.replace(/\.(?:js|d\.ts)$/, '.ts')
  if (!existsSync(join(ROOT, source))) rmSync(join(DIST, file))
}
// npm keeps the modes of files; a checkout on Windows has none.
chmodSync(join(ROOT, 'bin/myesi-gateway.cjs'), 0o755)
