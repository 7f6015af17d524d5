import { notText, refuse, type Parsed } from './parsed'

const ALLOWED = 'a path, with a query if need be, such as /healthz or /status?deep=1'

export const PROBE_PATH_PATTERN = '^/[!-"$-~]*$'

/** Parses the path of a health check, which is sent exactly as written. */
export function parseProbePath(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (!found.startsWith('/'))
    return refuse('does not begin with "/"', ALLOWED, /^\w[\w/.-]*$/.test(found) ? `/${found}` : undefined)
  if (found.includes('#')) return refuse('has a fragment, which is never sent', ALLOWED)
  if (!/^[!-~]+$/.test(found)) return refuse('has a character that must be escaped', ALLOWED, encodeURI(found))
  return { value: found }
}
