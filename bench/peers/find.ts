import type { Row } from '../rows.ts'
import type { Surroundings } from '../subjects.ts'
import { debianPeers } from './debian.ts'
import { goPeers } from './go.ts'
import { npmPeers } from './npm.ts'
import type { FindPeer } from './peer.ts'
import { pypiPeers } from './pypi.ts'

/** Functions that find peers, by source. */
const SOURCES = { debian: debianPeers, npm: npmPeers, pypi: pypiPeers, go: goPeers } satisfies Record<
  string,
  Readonly<Record<string, FindPeer>>
>

export type Source = keyof typeof SOURCES

export function isSource(name: string): name is Source {
  return name in SOURCES
}

/**
 * Sources used by default. Traefik and Caddy are built with Go, which takes many minutes, so they must be requested.
 */
export const USUAL_SOURCES: readonly Source[] = ['debian', 'npm', 'pypi']

export interface PeerOptions {
  /** Undefined: the group's default. */
  readonly sources: readonly Source[] | undefined
  readonly skip: (reason: string) => void
}

/** Finds the peers that are installed or can be; for each of the others, `skip` gets the reason. */
export async function findPeers(
  surroundings: Surroundings,
  { sources = USUAL_SOURCES, skip }: PeerOptions,
): Promise<{ readonly plain: Row[]; readonly observed: Row[] }> {
  const [plain, observed]: [Row[], Row[]] = [[], []]
  for (const source of sources) {
    for (const [name, find] of Object.entries<FindPeer>(SOURCES[source])) {
      try {
        const peer = await find(surroundings)
        plain.push(peer.plain)
        if (peer.observed) observed.push(peer.observed)
      } catch (error) {
        const [what, why = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
        skip(`skipped: ${name}, ${what} ${why.trim()}`)
      }
    }
  }
  return { plain, observed }
}
