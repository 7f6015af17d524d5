/**
 * A subject with the name of its tokens in front, as `TOKENS/SUBJECT`. It may be left out where there is only one kind of
 * tokens; undefined where it is not clear whose word it is.
 */
export function qualified(subject: string, tokens: readonly string[]): string | undefined {
  if (tokens.some(name => subject.startsWith(`${name}/`))) return subject
  return tokens.length === 1 ? `${tokens[0]}/${subject}` : undefined
}
