import type { DescribedSchema } from '../../src/config/json-schema'

/** Matches the markers around the key table of each section in `docs/configuration.md`. */
const MARKED = /(<!-- keys of (\w+), written by npm run schema -->\n).*?(<!-- end of keys -->)/gs

/** Replaces the table between each pair of markers. */
export function withKeyTables(markdown: string, schema: DescribedSchema): string {
  return markdown.replace(MARKED, (_all, begin: string, section: string, end: string) => {
    return `${begin}\n${keyTable(schema, section)}\n\n${end}`
  })
}

/** The placeholder for keys with any name. */
const ANY_NAME = '<name>'

function keyTable(schema: DescribedSchema, section: string): string {
  const rows = keysOf(schema, '').filter(
    ({ key }) => key.startsWith(section) && /^[.[]/.test(key.slice(section.length)),
  )
  const lines = rows.map(({ key, value, standard, meaning }) => `| \`${key}\` | ${value} | ${standard} | ${meaning} |`)
  return ['| Key | Value | Default | Meaning |', '|---|---|---|---|', ...lines].join('\n')
}

interface Row {
  readonly key: string
  readonly value: string
  readonly standard: string
  readonly meaning: string
}

/** A row for every key that holds a value, or may hold one instead of a map. */
function keysOf(schema: DescribedSchema, path: string): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, node]): Row[] => {
    if (node.not !== undefined) return [] // not supported in this version
    const key = path === '' ? name : `${path}.${name}`
    const row = rowOf(key, node, schema.required?.includes(name) ?? false)
    const alone = node.anyOf?.find(shape => shape.properties !== undefined)
    if (alone) return [row, ...keysOf(alone, key)]
    const { items, additionalProperties: values } = node
    if (values && values.properties) return keysOf(values, `${key}.${ANY_NAME}`)
    if (items?.properties) return keysOf(items, `${key}[]`)
    return node.properties ? keysOf(node, key) : [row]
  })
}

function rowOf(key: string, node: DescribedSchema, isRequired: boolean): Row {
  const standard = node.default === undefined ? 'none' : `\`${asYaml(node.default)}\``
  return { key, value: valueOf(node), standard: isRequired ? 'required' : standard, meaning: node.description ?? '' }
}

function valueOf(node: DescribedSchema): string {
  if (node.value !== undefined) return node.value
  const words = node.anyOf?.[0]?.enum ?? node.enum
  if (words !== undefined) return words.map(word => `\`${String(word)}\``).join(', ')
  return node.type === 'boolean' ? '`true`, `false`' : 'text'
}

function asYaml(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
