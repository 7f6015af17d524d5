/** Longer than any link that we make or that Prometheus makes of a rule. */
const MAX_CHARACTERS = 4_096

/**
 * Returns a URL that is safe in a link, or undefined. Annotations are untrusted: `javascript:` would run in the page,
 * and `https://known@elsewhere` looks like another host than the one it leads to.
 *
 * @param base for addresses that are relative, which must stay below it; without one they lead nowhere
 */
export function safeUrl(address: string | undefined, base?: string): string | undefined {
  if (address === undefined || address === '' || address.length > MAX_CHARACTERS) return undefined
  const below = base === undefined ? undefined : `${base.replace(/\/$/, '')}/`
  const url = URL.parse(address, below)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.username !== '' || url.password !== '') return undefined
  // `//elsewhere` and `/\elsewhere` are relative too.
  if (below !== undefined && !URL.canParse(address) && !url.href.startsWith(below)) return undefined
  return url.href
}
