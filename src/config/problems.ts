import type { ConfigProblem } from './types'

/** True if at least one problem is not a warning: the gateway must then not start. */
export function hasErrors(problems: readonly ConfigProblem[]): boolean {
  return problems.some(isError)
}

export function isError({ severity }: ConfigProblem): boolean {
  return severity !== 'warning'
}

/**
 * The text for stderr, before exit code 78 or before a start with warnings. Empty if there are no problems.
 *
 * @param program the program that starts or refuses to
 */
export function formatProblems(problems: readonly ConfigProblem[], program = 'myesi-gateway'): string {
  if (problems.length === 0) return ''
  const groups = Map.groupBy(problems, groupOf)
  const lines = [headline(problems, program)]
  for (const [group, members] of groups) {
    lines.push('', group, ...members.flatMap(formatProblem))
  }
  lines.push('', 'Every variable and key, with its default: docs/configuration.md', '')
  return lines.join('\n')
}

function headline(problems: readonly ConfigProblem[], program: string): string {
  const warnings = problems.filter(problem => problem.severity === 'warning').length
  const errors = problems.length - warnings
  if (errors === 0) return `${program} starts, with ${count(warnings, 'warning')} about its configuration.`
  const also = warnings === 0 ? '' : ` and ${count(warnings, 'warning')}`
  return `${program} does not start: ${count(errors, 'problem')}${also} in its configuration.`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

const ENVIRONMENT = 'Environment'

function groupOf({ where }: ConfigProblem): string {
  if (/^[A-Z][A-Z0-9_]*$/.test(where)) return ENVIRONMENT
  return /^(.+?):\d+:\d+(?: |$)/.exec(where)?.[1] ?? where
}

function formatProblem(found: ConfigProblem): string[] {
  const { where, problem, allowed, nearest, severity } = found
  return [
    // A problem with the whole file is printed directly below the file's name.
    ...(where === groupOf(found) ? [] : [`  ${where}`]),
    `    ${severity === 'warning' ? 'warning: ' : ''}${problem}`,
    ...(allowed === undefined ? [] : [`    allowed: ${allowed}`]),
    ...(nearest === undefined ? [] : [`    did you mean: ${nearest}`]),
  ]
}
