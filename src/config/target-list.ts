import { parseDocument } from 'yaml'
import { parseTarget, type TargetConfig } from './values/target'
import { mistake, type Mistake } from './values/parsed'
import { excessIn } from './yaml-bounds'

/** Maximum targets of one source: each has connections, a health check and metrics of its own. */
export const MAX_TARGETS = 500

/**
 * Parses a list of targets, YAML or JSON. An empty list is refused: a file that is written in steps is empty for a moment,
 * and an upstream without targets answers nothing.
 */
export function parseTargetList(text: string): TargetConfig[] | Mistake {
  const excess = excessIn(text)
  if (excess !== undefined) return excess.mistake
  const document = parseDocument(text, { logLevel: 'silent' })
  const [error] = document.errors
  if (error !== undefined) return mistake(`is not YAML: ${error.message.split('\n')[0]}`, ALLOWED)
  const found: unknown = document.toJS({ maxAliasCount: 0 })
  if (!Array.isArray(found) || found.length === 0) return mistake('is not a list of targets', ALLOWED)
  if (found.length > MAX_TARGETS) return mistake(`has ${found.length} targets`, `at most ${MAX_TARGETS}`)
  const targets: TargetConfig[] = []
  const seen = new Set<string>()
  for (const [index, raw] of found.entries()) {
    const target = parseTarget(raw)
    if (!('value' in target)) {
      return mistake(`has an entry ${index + 1} that ${target.mistake.problem}`, target.mistake.allowed)
    }
    const { origin } = target.value
    if (seen.has(origin)) return mistake(`has ${origin} twice`, 'each target once')
    seen.add(origin)
    targets.push(target.value)
  }
  return targets
}

const ALLOWED = 'a list of at least one target, as in "targets"'
