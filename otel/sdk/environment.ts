import { nearest } from './nearest'
import type { TelemetryProblem } from './telemetry'

/** Variables of other SDKs, which services of other languages share an environment with. */
const OF_OTHER_LANGUAGES = /^OTEL_(?:CPP|DOTNET|ERLANG|GO|JAVA|JAVAAGENT|PHP|PYTHON|RUBY|RUST|SWIFT)_/

/**
 * Reads the `OTEL_*` variables one by one. Problems are collected, not thrown, so that all of them can be printed
 * together. As in the OpenTelemetry specification, an empty value means unset.
 */
export class Environment {
  readonly problems: TelemetryProblem[] = []
  readonly #variables: Readonly<Record<string, string | undefined>>
  readonly #asked = new Set<string>()

  constructor(variables: Readonly<Record<string, string | undefined>>) {
    this.#variables = variables
  }

  text(variable: string): string | undefined {
    this.#asked.add(variable)
    const value = this.#variables[variable]?.trim()
    return value === '' ? undefined : value
  }

  /** Comma-separated, duplicates and empty entries left out. */
  list(variable: string): readonly string[] | undefined {
    const value = this.text(variable)
    if (value === undefined) return undefined
    const entries = value
      .split(',')
      .map(entry => entry.trim())
      .filter(entry => entry !== '')
    return entries.length === 0 ? undefined : [...new Set(entries)]
  }

  boolean(variable: string): boolean {
    const value = this.oneOf(variable, ['true', 'false'])
    return value === 'true'
  }

  /** In any case, as the specification has it. */
  oneOf<Name extends string>(variable: string, allowed: readonly Name[]): Name | undefined {
    const value = this.text(variable)
    return value === undefined ? undefined : this.#named(variable, value, allowed)
  }

  someOf<Name extends string>(variable: string, allowed: readonly Name[]): readonly Name[] | undefined {
    const names = this.list(variable)?.flatMap(entry => this.#named(variable, entry, allowed) ?? [])
    return names && [...new Set(names)]
  }

  /** @param what the unit for the message, for example "milliseconds" */
  number(variable: string, what: string, range: { min: number; max?: number; whole?: boolean }): number | undefined {
    const value = this.text(variable)
    if (value === undefined) return undefined
    const number = Number(value)
    const whole = range.whole ?? true
    const inRange = number >= range.min && number <= (range.max ?? Number.MAX_SAFE_INTEGER)
    if (inRange && (!whole || Number.isInteger(number))) return number
    this.problems.push({
      where: variable,
      problem: `"${value}" is not ${whole ? 'a whole number' : 'a number'} of ${what}`,
      allowed: range.max === undefined ? `${range.min} or more` : `${range.min} to ${range.max}`,
    })
    return undefined
  }

  complain(problem: TelemetryProblem): void {
    this.problems.push(problem)
  }

  /**
   * Sentences about variables of OpenTelemetry that are set and that nothing reads, so that none is ignored silently.
   *
   * @param reasons why a variable is not read and what to use, by its name or by the beginning of it
   */
  unread(readByOthers: readonly string[], reasons: Readonly<Record<string, string>>): readonly string[] {
    const known = [...this.#asked, ...readByOthers]
    const sentences: string[] = []
    const strange: string[] = []
    for (const [name, value] of Object.entries(this.#variables)) {
      if (!name.startsWith('OTEL_') || known.includes(name) || !value?.trim()) continue
      const reason = Object.entries(reasons).find(([start]) => name === start || name.startsWith(`${start}_`))?.[1]
      const near = nearest(name, known, 2)
      if (reason !== undefined) sentences.push(`${name} has no effect: ${reason}`)
      else if (near !== undefined) sentences.push(`${name} is not read by the gateway; did you mean ${near}?`)
      else if (!OF_OTHER_LANGUAGES.test(name)) strange.push(name)
    }
    if (strange.length > 0) sentences.push(`not read by the gateway: ${strange.sort().join(', ')}`)
    return sentences
  }

  #named<Name extends string>(variable: string, value: string, allowed: readonly Name[]): Name | undefined {
    const found = allowed.find(name => name === value.toLowerCase())
    if (found === undefined) {
      const near = nearest(value, allowed)
      this.problems.push({
        where: variable,
        problem: `"${value}" is not known`,
        allowed: allowed.join(', '),
        ...(near === undefined ? {} : { nearest: near }),
      })
    }
    return found
  }
}
