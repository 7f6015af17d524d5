/** A duration as Prometheus and Alertmanager write it, alone or as a range such as `[2m]`. */
const DURATION = /(?<![\w.])(\d+)(ms|s|m|h|d)(?![\w.])/g
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * A configuration text in which every duration is divided by `factor`, so that a test sees in seconds what takes minutes.
 *
 * @throws when a duration cannot be divided into whole milliseconds: a rounded one would change what the rule says
 */
export function shortened(text: string, factor: number): string {
  return text.replaceAll(DURATION, (duration, count: string, unit: string) => {
    const milliseconds = (Number(count) * (MILLISECONDS[unit] as number)) / factor
    if (!Number.isInteger(milliseconds)) throw new Error(`${duration} cannot be divided by ${factor}`)
    return `${milliseconds}ms`
  })
}

/** The durations of a text in milliseconds, in order, and what is left without them. */
export function takeDurations(text: string): { readonly durations: readonly number[]; readonly rest: string } {
  const durations: number[] = []
  const rest = text.replaceAll(DURATION, (_, count: string, unit: string) => {
    durations.push(Number(count) * (MILLISECONDS[unit] as number))
    return '<duration>'
  })
  return { durations, rest }
}
