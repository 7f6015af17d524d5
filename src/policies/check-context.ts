import { problemAt, problemAtKey } from '../config/findings'
import { nearestName } from '../config/nearest-name'
import type { ConfigProblem } from '../config/types'
import { asMap } from '../config/understood'
import type { Mistake } from '../config/values/parsed'
import type { Path } from '../config/variables'
import type { YamlSource } from '../config/yaml-source'

/** The file as a policy's check sees it: the value of its key, its route, and constructors for problems. */
export class CheckContext {
  readonly #source: YamlSource
  readonly #route: Path
  readonly #key: string

  /** @param route path of the route in the file */
  constructor(source: YamlSource, route: Path, key: string) {
    this.#source = source
    this.#route = route
    this.#key = key
  }

  /** Value of the key as written, with `${NAME}` replaced. */
  get written(): unknown {
    return this.valueAt()
  }

  /** The whole route as written. */
  get route(): Readonly<Record<string, unknown>> {
    return asMap(this.#source.valueAt(this.#route))
  }

  /** Returns a value below the key. */
  valueAt(...path: Path): unknown {
    return this.#source.valueAt([...this.#route, this.#key, ...path])
  }

  /** Names in a section of the file: `upstreams`, `consumers`, `tokens`. */
  names(section: string): string[] {
    return Object.keys(asMap(this.#source.valueAt([section])))
  }

  /** Returns a value anywhere in the file. */
  inFile(...path: Path): unknown {
    return this.#source.valueAt(path)
  }

  /** Creates a problem with a value below the key: `"5" has no unit`. */
  problem(path: Path, mistake: Mistake): ConfigProblem {
    return problemAt([...this.#route, this.#key, ...path], mistake, this.#source)
  }

  /** Creates a problem with a key below this key, or, with an empty path, with this key itself. */
  problemAtKey(path: Path, mistake: Mistake): ConfigProblem {
    return problemAtKey([...this.#route, this.#key, ...path], mistake, this.#source)
  }

  /** Returns the most similar of some names, if one is similar enough. */
  nearest(name: string, names: Iterable<string>): string | undefined {
    return nearestName(name, names)
  }

  /** Returns the context of another key of the route. */
  at(key: string): CheckContext {
    return new CheckContext(this.#source, this.#route, key)
  }
}
