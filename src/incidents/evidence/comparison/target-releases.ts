import type { Change } from '../evidence'
import type { ReplicaSamples, SampledRequest } from './sampled-requests'

/** A release that a trace shows at a target. */
export interface SeenRelease {
  readonly target: string
  readonly upstream: string
  /** When the request ended, by the clock of the gateway. */
  readonly timeMs: number
  readonly service: string
  readonly version: string
}

/** Minimum traces before and after a change: one may belong to another server behind the same address. */
const LEAST_SEEN = 2

/**
 * The releases of targets over time. The time before the first failure and the time since are separate: a release that
 * was seen only before is not assumed after it.
 */
export class TargetReleases {
  readonly #byTarget: ReadonlyMap<string, readonly SeenRelease[]>
  readonly #onsetMs: number
  readonly #isOneService: boolean

  constructor(seen: readonly SeenRelease[], onsetMs: number) {
    const inOrder = seen.toSorted((a, b) => a.timeMs - b.timeMs)
    this.#byTarget = new Map([...Map.groupBy(inOrder, ({ target }) => target)].filter(([, of]) => isInRuns(of)))
    this.#onsetMs = onsetMs
    this.#isOneService = new Set(seen.map(({ service }) => service)).size <= 1
  }

  /** The samples with the release of their target where it is certain. */
  assignedTo(replicas: readonly ReplicaSamples[]): ReplicaSamples[] {
    return replicas.map(replica => ({
      ...replica,
      groups: replica.groups.map(group => ({
        ...group,
        samples: group.samples.map(request => {
          const release = this.#releaseOf(request)
          return release === undefined ? request : { ...request, release }
        }),
      })),
    }))
  }

  /** "release 1.4.1 → 1.4.2 first seen at 2 of 3 targets of orders". */
  changes(replicas: readonly ReplicaSamples[]): Change[] {
    const requests = replicas.flatMap(({ groups }) => groups.flatMap(({ samples }) => samples))
    const changes = [...this.#byTarget.values()].flatMap(seen => this.#lastChange(seen))
    const alike = Map.groupBy(changes, ({ upstream, from, to }) => JSON.stringify([upstream, from, to]))
    return [...alike.values()].flatMap(together => {
      const [first] = together.toSorted((a, b) => a.timeMs - b.timeMs)
      const [before, after] = [sum(together.map(({ before: n }) => n)), sum(together.map(({ after: n }) => n))]
      if (first === undefined || before < LEAST_SEEN || after < LEAST_SEEN) return []
      const targets = new Set(
        requests.flatMap(({ upstream, target }) => (upstream === first.upstream && target !== undefined ? target : [])),
      )
      const where = `${together.length} of ${Math.max(targets.size, together.length)} targets of ${first.upstream}`
      return [{ timeMs: first.timeMs, what: `release ${first.from} → ${first.to} first seen at ${where}` }]
    })
  }

  /** Undefined if the nearest traces of the same period, earlier and later, disagree. */
  #releaseOf({ target, timeMs }: SampledRequest): string | undefined {
    const seen = this.#byTarget.get(target ?? '')?.filter(of => this.#isEarly(of.timeMs) === this.#isEarly(timeMs))
    const earlier = seen?.findLast(of => of.timeMs <= timeMs)
    const later = seen?.find(of => of.timeMs >= timeMs)
    const release = earlier ?? later
    if (release === undefined || nameOf(release) !== nameOf(later ?? release)) return undefined
    return this.#shortName(release)
  }

  #isEarly(timeMs: number): boolean {
    return timeMs < this.#onsetMs
  }

  #lastChange(seen: readonly SeenRelease[]): TargetChange[] {
    const last = seen.at(-1)
    if (last === undefined) return []
    const index = seen.findIndex(of => nameOf(of) === nameOf(last))
    const [before, first] = [seen[index - 1], seen[index]]
    if (before === undefined || first === undefined) return []
    return [
      {
        upstream: first.upstream,
        from: this.#shortName(before),
        to: this.#shortName(first),
        timeMs: first.timeMs,
        before: index,
        after: seen.length - index,
      },
    ]
  }

  #shortName(release: SeenRelease): string {
    return this.#isOneService ? release.version : nameOf(release)
  }
}

interface TargetChange {
  readonly upstream: string
  readonly from: string
  readonly to: string
  /** When the second release was first seen. */
  readonly timeMs: number
  /** Traces of the target before the change and after it. */
  readonly before: number
  readonly after: number
}

function nameOf({ service, version }: SeenRelease): string {
  return `${service} ${version}`
}

/** Whether no release returns after another one: several servers behind one address would alternate. */
function isInRuns(seen: readonly SeenRelease[]): boolean {
  const ended = new Set<string>()
  return seen.every((release, index) => {
    const before = seen[index - 1]
    if (before !== undefined && nameOf(before) !== nameOf(release)) ended.add(nameOf(before))
    return !ended.has(nameOf(release))
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0)
}
