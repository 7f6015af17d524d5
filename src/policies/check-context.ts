import { problemAt, problemAtKey } from '../config/findings'
import { nearestName } from '../config/nearest-name'
import type { ConfigProblem } from '../config/types'
import { asMap } from '../config/understood'
import type { Mistake } from '../config/values/parsed'
import type { Path } from '../config/variables'
import type { YamlSource } from '../config/yaml-source'

/** The file as a policy's check sees it: the value of its key, the route around it, and how to say what is wrong. */
export class CheckContext {
  readonly #source: YamlSource
  readonly #route: Path
  readonly #key: string

  /** @param route where the route is in the file */
  constructor(source: YamlSource, route: Path, key: string) {
    this.#source = source
    this.#route = route
    this.#key = key
  }

  /** The value of the key as it is written, `${NAME}` replaced. */
  get written(): unknown {
    return this.valueAt()
  }

  /** The whole route as it is written. */
  get route(): Readonly<Record<string, unknown>> {
    return asMap(this.#source.valueAt(this.#route))
  }

  /** What is written below the key. */
  valueAt(...path: Path): unknown {
    return this.#source.valueAt([...this.#route, this.#key, ...path])
  }

  /** Names in a section of the file: `upstreams`, `consumers`, `tokens`. */
  names(section: string): string[] {
    return Object.keys(asMap(this.#source.valueAt([section])))
  }

  /** What is written anywhere in the file. */
  inFile(...path: Path): unknown {
    return this.#source.valueAt(path)
  }

  /** A problem with a value below the key: `"5" has no unit`. */
  problem(path: Path, mistake: Mistake): ConfigProblem {
    return problemAt([...this.#route, this.#key, ...path], mistake, this.#source)
  }

  /** A problem with a key below it, or, with an empty path, with the key itself. */
  problemAtKey(path: Path, mistake: Mistake): ConfigProblem {
    return problemAtKey([...this.#route, this.#key, ...path], mistake, this.#source)
  }

  /** The nearest of some names, when one is near. */
  nearest(name: string, names: Iterable<string>): string | undefined {
    return nearestName(name, names)
  }

  /** The same for another key of the route. */
  at(key: string): CheckContext {
    return new CheckContext(this.#source, this.#route, key)
  }
}
