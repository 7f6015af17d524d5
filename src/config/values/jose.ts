import type * as Jose from 'jose'

let loaded: typeof Jose | undefined

/** The library jose, loaded at its first use: `check` of a file without tokens answers a fifth sooner. */
export function jose(): typeof Jose {
  // oxlint-disable-next-line typescript/no-require-imports -- `import()` would make every caller wait
  return (loaded ??= require('jose') as typeof Jose)
}
