import type { ConfigProblem } from './types'

/** True when the gateway must not start: at least one problem is more than a warning. */
export function hasErrors(problems: readonly ConfigProblem[]): boolean {
  return problems.some(problem => problem.severity !== 'warning')
}

/** The text for stderr, before exit code 78 or before a start with warnings. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(problem => `${problem.where}: ${problem.problem}\n`).join('')
}
