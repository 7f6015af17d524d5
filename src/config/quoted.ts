const LONGEST = 80

/** A text as messages show it: in quotes, without the credentials of a URL, and no longer than a line can hold. */
export function quoted(text: string): string {
  // Up to the last "@": a password may have one in it, and a slash too.
  const safe = text.replace(/\/\/.*@/s, '//…@')
  return JSON.stringify(safe.length > LONGEST ? `${safe.slice(0, LONGEST - 1)}…` : safe)
}
