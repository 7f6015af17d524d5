import { findPinned } from './pinned-program'

/** Finds or builds h2spec, the conformance tests of HTTP/2; a build takes about a minute. */
export function findH2spec(): Promise<string> {
  return findPinned({
    name: 'h2spec',
    folder: 'tools/h2spec',
    command: 'github.com/summerwind/h2spec/cmd/h2spec',
  })
}
