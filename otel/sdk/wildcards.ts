/** Whether a name matches one of the patterns, in which `*` stands for any characters and `?` for one. */
export function matcher(patterns: readonly string[] | undefined): ((text: string) => boolean) | undefined {
  if (patterns === undefined) return undefined
  const expressions = patterns.map(pattern => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
    return new RegExp(`^${escaped.replaceAll(/\*+/g, '.*').replaceAll('?', '.')}$`)
  })
  return text => expressions.some(expression => expression.test(text))
}
