import type * as Jose from 'jose'

let loaded: typeof Jose | undefined

/** The library jose, loaded at first use: `check` of a file without tokens is a fifth faster. */
export function jose(): typeof Jose {
  // oxlint-disable-next-line typescript/no-require-imports -- `import()` would make every caller wait
  return (loaded ??= require('jose') as typeof Jose)
}
