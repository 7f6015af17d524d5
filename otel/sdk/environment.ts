import { nearest } from './nearest'
import type { TelemetryProblem } from './telemetry'

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
    const value = this.oneOf(variable, ['true', 'false'], text => text.toLowerCase())
    return value === 'true'
  }

  oneOf<Name extends string>(
    variable: string,
    allowed: readonly Name[],
    normalise = (text: string) => text,
  ): Name | undefined {
    const value = this.text(variable)
    return value === undefined ? undefined : this.#named(variable, normalise(value), allowed)
  }

  someOf<Name extends string>(variable: string, allowed: readonly Name[]): readonly Name[] | undefined {
    return this.list(variable)?.flatMap(entry => this.#named(variable, entry, allowed) ?? [])
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

  /** Variables that no component reads and that differ by one or two typing mistakes from one that is read. */
  misspelled(readByOthers: readonly string[]): readonly string[] {
    const known = [...this.#asked, ...readByOthers]
    const unknown = Object.keys(this.#variables).filter(name => name.startsWith('OTEL_') && !known.includes(name))
    return unknown.flatMap(name => {
      const near = nearest(name, known, 2)
      return near === undefined ? [] : [`${name} is not read by the gateway; did you mean ${near}?`]
    })
  }

  #named<Name extends string>(variable: string, value: string, allowed: readonly Name[]): Name | undefined {
    const found = allowed.find(name => name === value)
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
