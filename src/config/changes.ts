/** Maximum changes listed for one file; longer lists are not read. */
const MAX_CHANGES = 100
/** Keys whose values may be secrets written into the file: the change is reported, the value is not. */
const PERHAPS_SECRET = /header|body|api-?key|token|secret|password|credential/i
const LONGEST_VALUE = 60
/** Their changes are shown where they have an effect: in the routes and upstreams that inherit them. */
const INHERITED = ['defaults', 'policySets']

type Mapping = Readonly<Record<string, unknown>>

/**
 * The differences between two gateway files, one sentence for each upstream, route or other entry: `route "orders"
 * changed: timeouts.response 10s → 5s`. Compares the files as written, with `${NAME}` unreplaced, so that the text
 * matches the file and reveals no value of a variable.
 */
export function changesBetween(writtenBefore: unknown, writtenNow: unknown): string[] {
  const [old, young] = [mapping(writtenBefore), mapping(writtenNow)]
  const changes = namesOf(old, young).flatMap(section => {
    if (INHERITED.includes(section)) return []
    const [before, after] = [entriesOf(old[section]) ?? {}, entriesOf(young[section]) ?? {}]
    if (section !== 'entrypoint' && section !== 'slo') return changesOfEntries(section.replace(/s$/, ''), before, after)
    const changed = differences(before, after, '')
    return changed.length === 0 ? [] : [`${section} changed: ${changed.join(', ')}`]
  })
  if (changes.length <= MAX_CHANGES) return changes
  return [...changes.slice(0, MAX_CHANGES), `and ${changes.length - MAX_CHANGES} more`]
}

function changesOfEntries(kind: string, before: Mapping, after: Mapping): string[] {
  return namesOf(before, after).flatMap(name => {
    if (!(name in after)) return [`${kind} "${name}" removed`]
    if (!(name in before)) return [`${kind} "${name}" added`]
    const changed = differences(before[name], after[name], '')
    return changed.length === 0 ? [] : [`${kind} "${name}" changed: ${changed.join(', ')}`]
  })
}

/** The smallest differences, key by key: `timeouts.response 10s → 5s`, `retries added`. */
function differences(before: unknown, after: unknown, key: string): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const [old, young] = [entriesOf(before), entriesOf(after)]
  if (old !== undefined && young !== undefined) {
    return namesOf(old, young).flatMap(name =>
      differences(old[name], young[name], key === '' ? name : `${key}.${name}`),
    )
  }
  if (PERHAPS_SECRET.test(key)) return [`${key} ${verb(before, after)}`]
  if (before === undefined) return [isShort(after) ? `${key} added: ${shown(after)}` : `${key} added`]
  if (after === undefined) return [`${key} removed`]
  return [isShort(before) && isShort(after) ? `${key} ${shown(before)} → ${shown(after)}` : `${key} changed`]
}

function verb(before: unknown, after: unknown): string {
  if (before === undefined) return 'added'
  return after === undefined ? 'removed' : 'changed'
}

/** The entries by name, of a map or of a list of items with names. Undefined for anything else. */
function entriesOf(value: unknown): Mapping | undefined {
  if (!Array.isArray(value)) return isMapping(value) ? value : undefined
  const named = value.map((item): [unknown, unknown] => [mapping(item)['name'], item])
  const names = new Set(named.map(([name]) => name))
  if (value.length === 0 || names.size < value.length || !named.every(([name]) => typeof name === 'string'))
    return undefined
  return Object.fromEntries(named as [string, unknown][])
}

/** The names in the order of the new file, then those that were removed. */
function namesOf(before: Mapping, after: Mapping): string[] {
  return [...new Set([...Object.keys(after), ...Object.keys(before)])]
}

function isShort(value: unknown): boolean {
  const flat = Array.isArray(value) ? value : [value]
  return flat.every(item => typeof item !== 'object') && shown(value).length <= LONGEST_VALUE
}

function shown(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
}

function mapping(value: unknown): Mapping {
  return isMapping(value) ? value : {}
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
