import { writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { temporaryFolder } from '../support/temporary-folder'
import { read, ROOT, type Rule } from './monitoring-files'
import { runToolAt } from './run-tool'

interface Group {
  readonly name: string
  readonly rules: readonly Rule[]
}

interface TestFile {
  readonly rule_files: readonly string[]
  readonly group_eval_order?: readonly string[]
}

/**
 * Runs a file of promtool tests with only the rules that it depends on. promtool evaluates every rule at every step, and
 * most rules have nothing to do with most tests: all of them took minutes of a busy machine.
 *
 * @param file path from the root of the repository
 * @param text its text, if it differs from the file
 * @param readRules reads a rule file by its absolute path
 */
export async function passRuleTests(
  promtool: string,
  file: string,
  text: string,
  readRules: (path: string) => string,
): Promise<void> {
  const { rule_files: ruleFiles, group_eval_order: order, ...tests } = parse(text) as TestFile
  const folder = temporaryFolder()
  const groups = neededRules(
    JSON.stringify(tests),
    ruleFiles.flatMap(path => {
      const { groups: all } = parse(readRules(resolve(dirname(join(ROOT, file)), path))) as { groups: Group[] }
      return all
    }),
  )
  const names = groups.map(({ name }) => name)
  writeFileSync(join(folder, 'rules.yml'), stringify({ groups }))
  const path = join(folder, 'test.yml')
  writeFileSync(
    path,
    stringify({
      rule_files: ['rules.yml'],
      ...(order && { group_eval_order: order.filter(name => names.includes(name)) }),
      ...tests,
    }),
  )
  await runToolAt(promtool, 'test', 'rules', path)
}

export function readRuleFile(path: string): string {
  return read(path.slice(ROOT.length + 1))
}

/** The rules that a text names, by name or family, and those that these rules name. */
export function neededRules(text: string, groups: readonly Group[]): Group[] {
  const needed = new Set<Rule>()
  const all = groups.flatMap(({ rules }) => rules)
  const addNamedIn = (names: string): void => {
    for (const rule of all) {
      const family = rule.labels?.['family'] ?? ''
      if (names.includes(rule.alert ?? rule.record ?? '') || names.includes(`ALERTS{family=\\"${family}\\"`)) {
        needed.add(rule)
      }
    }
  }
  addNamedIn(text)
  // A set grows while it is iterated.
  for (const { expr, annotations = {} } of needed) addNamedIn([expr, ...Object.values(annotations)].join('\n'))
  return groups
    .map(group => ({ ...group, rules: group.rules.filter(rule => needed.has(rule)) }))
    .filter(({ rules }) => rules.length > 0)
}
