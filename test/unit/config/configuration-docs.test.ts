import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSettings } from '../../../src/config/env'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import { describedSchema } from '../../../src/config/json-schema'
import { readIncidentSettings } from '../../../src/config/incident-settings'
import { formatProblems } from '../../../src/config/problems'
import { INCIDENT_VARIABLES, VARIABLES, VARIABLES_OF_OTHERS } from '../../../src/config/variable-names'
import { schemaByPlace, type SchemaNode } from '../../support/gateway-schema'
import { withKeyTables } from '../../../tools/docs/key-tables'

const DOCS = join(__dirname, '../../../..', 'docs')
const TEXT = readFileSync(join(DOCS, 'configuration.md'), 'utf8')
const SCHEMA = schemaByPlace()

const [, INCIDENT_SERVICE = ''] = /^## The incident service\n(.*?)^## /ms.exec(TEXT) ?? []

const ROWS = rows(TEXT.replace(INCIDENT_SERVICE, ''))
const INCIDENT_ROWS = rows(INCIDENT_SERVICE)
const CODE_BLOCKS = [...TEXT.matchAll(/^```(yaml|text)\n(.*?)^```$/gms)].map(([, language, code = '']) => ({
  language,
  code,
}))

const OUTPUT = CODE_BLOCKS.find(({ code }) => code.startsWith('myesi-gateway does not start'))
/** The file that the output is about stands right before it. */
const WRONG = CODE_BLOCKS[CODE_BLOCKS.findIndex(block => block === OUTPUT) - 1]

/** First column to default column, of the tables with four columns. */
function rows(text: string): ReadonlyMap<string, string> {
  const found = text.matchAll(/^\| `([^`]+)` \| [^|]+ \| ([^|]+) \| .+ \|$/gm)
  return new Map([...found].map(([, key = '', standard = '']) => [key, standard]))
}

/** Every key that holds a value or may hold a whole one of several shapes, with what the docs should call its default. */
function keys(schema: SchemaNode, path: string): [string, string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): [string, string][] => {
    if (value.not !== undefined) return []
    const here = path === '' ? key : `${path}.${key}`
    const isRequired = schema.required?.includes(key) ?? false
    const standard = isRequired ? 'required' : value.default === undefined ? 'none' : `\`${asYaml(value.default)}\``
    const [alone] = (value.anyOf ?? []).filter(option => option.properties !== undefined)
    if (alone) return [[here, standard], ...keys(alone, here)]
    if (value.additionalProperties && value.additionalProperties.properties)
      return keys(value.additionalProperties, `${here}.<name>`)
    if (value.items?.properties) return keys(value.items, `${here}[]`)
    return value.properties ? keys(value, here) : [[here, standard]]
  })
}

/** Keys that belong to the format, and are refused. */
function refusedKeys({ properties = {}, additionalProperties, items }: SchemaNode): string[] {
  return [
    ...Object.entries(properties).flatMap(([key, value]) => (value.not ? [key] : refusedKeys(value))),
    ...(additionalProperties ? refusedKeys(additionalProperties) : []),
    ...(items ? refusedKeys(items) : []),
  ]
}

function asYaml(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A default, as the tables have it; a list is written with commas. */
function shown(standard: string | number | boolean | readonly string[] | undefined): string {
  return standard === undefined || String(standard) === '' ? 'none' : `\`${String(standard)}\``
}

describe('docs/configuration.md', () => {
  for (const [key, standard] of keys(SCHEMA, '')) {
    it(`has the key ${key} and its default`, () => {
      assert.equal(ROWS.get(key), standard)
    })
  }

  it('has the tables that `npm run schema` writes', () => {
    assert.equal(TEXT, withKeyTables(TEXT, describedSchema()), 'run: npm run schema')
    const sections = [...TEXT.matchAll(/^<!-- keys of (\w+)/gm)].map(([, section]) => section)
    assert.deepEqual(sections, ['entrypoint', 'consumers', 'tokens', 'sharedLimits', 'upstreams', 'routes'])
  })

  it('has no key and no variable that does not exist', () => {
    const known = new Set<string>([
      ...keys(SCHEMA, '').map(([key]) => key),
      ...Object.values(VARIABLES).map(([name]) => name),
    ])
    assert.deepEqual(
      [...ROWS.keys()].filter(key => !known.has(key)),
      [],
    )
  })

  it('says which keys are not in this version, and no others', () => {
    const [, section = ''] = /^### Not in this version\n(.*?)^## /ms.exec(TEXT) ?? []
    const named = [...section.matchAll(/`(\w+)`/g)].map(([, key]) => key)
    assert.deepEqual(named, refusedKeys(SCHEMA))
  })

  it('has every variable with its default', () => {
    const { settings } = readSettings({})
    for (const [setting, [name, ...others]] of Object.entries(VARIABLES)) {
      const standard = settings?.[setting as keyof typeof VARIABLES]
      const expected = setting === 'opsPublicUrl' ? 'made of host and port' : shown(standard)
      assert.equal(ROWS.get(name), expected, name)
      for (const other of others) assert.ok(TEXT.includes(`\`${other}\``), other)
    }
    for (const name of VARIABLES_OF_OTHERS) {
      assert.ok(TEXT.includes(`\`${name}\``), name)
    }
  })

  it('has every variable of the incident service with its default, and no other', () => {
    const { settings } = readIncidentSettings({})
    const made: Readonly<Record<string, string>> = {
      publicUrl: 'made of host and port',
      alertmanagerPublicUrl: 'the first of `ALERTMANAGER_URLS`',
    }
    const expected = Object.entries(INCIDENT_VARIABLES).map(([setting, name]) => {
      const standard = settings?.[setting as keyof typeof INCIDENT_VARIABLES]
      return [name, made[setting] ?? shown(standard)] as const
    })
    assert.deepEqual(Object.fromEntries(INCIDENT_ROWS), Object.fromEntries(expected))
  })

  it('has examples that the gateway takes', () => {
    const examples = CODE_BLOCKS.filter(block => block.language === 'yaml' && block !== WRONG)
    assert.ok(examples.length >= 1)
    for (const { code } of examples) assert.deepEqual(parseGatewayFile(code, 'gateway.yaml', {}).problems, [])
  })

  it('shows the output that a wrong file and wrong settings really have', () => {
    const env = { PORT: '80a', REDIS_URL: 'redis://:s3cr/et@redis.example' }
    for (const [name, value] of Object.entries(env)) assert.ok(TEXT.includes(`\`${name}=${value}\``))
    const problems = [
      ...readSettings(env).problems,
      ...parseGatewayFile(WRONG?.code ?? '', 'gateway.yaml', env).problems,
    ]
    assert.equal(OUTPUT?.code, formatProblems(problems))
  })
})
