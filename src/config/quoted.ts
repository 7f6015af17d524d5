const LONGEST = 80

/** Formats a text for messages: in quotes, without the credentials of a URL, and shortened to a line. */
export function quoted(text: string): string {
  // Up to the last "@": a password may contain one, and a slash too.
  const safe = text.replace(/\/\/.*@/s, '//…@')
  return JSON.stringify(safe.length > LONGEST ? `${safe.slice(0, LONGEST - 1)}…` : safe)
}
