import { chmodSync, existsSync, globSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Runs before `npm pack`: removes compiled files whose sources were deleted. The compiler leaves them, and they would
 * be published. Compiled, this file is dist/tools/package/prepack-main.js.
 */
const ROOT = resolve(__dirname, '../../..')
const DIST = join(ROOT, 'dist')

for (const file of globSync('{src,otel}/**/*.{js,d.ts}', { cwd: DIST })) {
  const source = file.replace(/\.(?:js|d\.ts)$/, '.ts')
  if (!existsSync(join(ROOT, source))) rmSync(join(DIST, file))
}
// npm keeps file modes; a checkout on Windows has none.
chmodSync(join(ROOT, 'bin/myesi-gateway.cjs'), 0o755)
