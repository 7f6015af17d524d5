import { filesMatching, panelsOf, readDashboard, rulesIn, ruleFiles, withoutVariables } from './monitoring-files'

/** Names of metrics by the file that asks for them: a test with real processes compares them to what is really exposed. */
export function metricNamesByFile(): Map<string, string[]> {
  const byFile = new Map<string, string[]>()
  for (const file of ruleFiles()) {
    const expressions = rulesIn(file).flatMap(({ expr, annotations = {} }) => [
      expr,
      ...queriesInTemplate(annotations['reason'] ?? ''),
      ...(annotations['exemplar_query'] === undefined
        ? []
        : [annotations['exemplar_query'].replaceAll(/\{\{.*?\}\}/g, '"x"')]),
    ])
    byFile.set(file, unique(expressions.flatMap(metricNamesIn)))
  }
  for (const file of filesMatching('monitoring/grafana/dashboards/*.json')) {
    const dashboard = readDashboard(file)
    const queries = panelsOf(dashboard).flatMap(({ targets = [] }) => targets.map(({ expr }) => withoutVariables(expr)))
    const variables = dashboard.templating.list.flatMap(({ definition = '' }) =>
      [...(/^label_values\((.*),[^,]*\)$/.exec(definition) ?? [])].slice(1),
    )
    byFile.set(file, unique([...queries, ...variables].flatMap(metricNamesIn)))
  }
  return byFile
}

const OPERATORS = new Set(['and', 'or', 'unless', 'bool'])

/** The names of series in a PromQL expression: words that are no operator, function, label, string or number. */
export function metricNamesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\{[^}]*\}/g, '{}')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\boffset\s+\w+/g, '')
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  const words = [...bare.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)(\s*\()?/g)]
  return unique(
    words.flatMap(([, word = '', call]) =>
      call !== undefined || OPERATORS.has(word) || /^(inf|nan)$/i.test(word) ? [] : [word],
    ),
  )
}

/** Queries that a template runs by itself, such as `printf "sum(x{job=%q})" $labels.job | query`. */
function queriesInTemplate(text: string): string[] {
  return [...text.matchAll(/printf "((?:[^"\\]|\\.)*)"[^}]*\| query/g)].map(([, query = '']) =>
    query.replaceAll('\\"', '"').replaceAll('%q', '"x"'),
  )
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}
