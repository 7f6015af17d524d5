import type { RouteConfig } from '../../config/types'

export type PathRewrite = (path: string) => string

/** What becomes of the path before it is forwarded; undefined where it stays as it is. */
export function createPathRewrite({ stripPrefix, addPrefix }: RouteConfig['rewrite']): PathRewrite | undefined {
  if (stripPrefix === undefined && addPrefix === undefined) return undefined
  const stripped = stripPrefix?.length ?? 0
  const prefix = addPrefix ?? ''
  // The route has matched, so the path begins with the prefix, and a whole segment ends there.
  return function rewritePath(path) {
    return prefix + path.slice(stripped) || '/'
  }
}
