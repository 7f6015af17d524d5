/** Prefix of subjects that no token has. */
export const EXTERNAL = 'external'

/**
 * A subject prefixed with the name of its tokens: `TOKENS/SUBJECT`. The prefix may be omitted if there is only one kind
 * of tokens; undefined if the kind is ambiguous.
 */
export function qualified(subject: string, tokens: readonly string[]): string | undefined {
  // Consumers that an external authorizer names (`auth.external.consumerHeader`).
  if (subject.startsWith(`${EXTERNAL}/`)) return subject
  if (tokens.some(name => subject.startsWith(`${name}/`))) return subject
  return tokens.length === 1 ? `${tokens[0]}/${subject}` : undefined
}
