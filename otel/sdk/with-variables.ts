/**
 * Runs `act` with exactly these variables in `process.env`. Parts of the SDK read variables themselves and cannot be
 * given their values.
 */
export function withOnly<Result>(variables: Readonly<Record<string, string | undefined>>, act: () => Result): Result {
  const before = process.env
  process.env = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined))
  try {
    return act()
  } finally {
    process.env = before
  }
}
