import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { readGatewayFile } from '../../../src/config/gateway-file'
import { POLICIES } from '../../../src/policies/registry'
import { withExampleRoutes } from '../../../tools/docs/example-routes'
import { createAuthority } from '../../support/certificates'
import { schemaByPlace, type SchemaNode } from '../../support/gateway-schema'
import { temporaryFolder } from '../../support/temporary-folder'

const DOCS = join(__dirname, '../../../../docs')
const EXAMPLE = join(DOCS, 'gateway.example.yaml')
const SCHEMA: unknown = JSON.parse(readFileSync(join(DOCS, 'gateway.schema.json'), 'utf8'))

const ANY_NAME = '<name>'

/** In force here, maintenance would close the whole example; it is shown at a route, where it is the same. */
const SHOWN_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['entrypoint.maintenance.retryAfter', 'routes.maintenance.retryAfter'],
  // In the included file.
  ['routes.use', 'policySets'],
  ['routes.without', 'upstreams.<name>.without'],
])

/** Every key that a file may have, in all the shapes of its values; an item of a list is where the list is. */
function keyPaths(schema: SchemaNode, path: readonly string[] = []): string[][] {
  const { properties = {}, additionalProperties, items, anyOf = [] } = schema
  return [
    ...Object.entries(properties).flatMap(([key, value]) => {
      // Not in this version.
      if (value.not !== undefined) return []
      return [[...path, key], ...keyPaths(value, [...path, key])]
    }),
    ...(typeof additionalProperties === 'object' ? keyPaths(additionalProperties, [...path, ANY_NAME]) : []),
    ...[...anyOf, ...(items ? [items] : [])].flatMap(shape => keyPaths(shape, path)),
  ]
}

function valuesAt(value: unknown, [key, ...rest]: readonly string[]): unknown[] {
  if (key === undefined) return [value]
  const maps = [value].flat().filter(one => typeof one === 'object' && one !== null)
  const found = maps.flatMap((map): unknown[] => {
    if (key === ANY_NAME) return Object.values(map)
    return key in map ? [(map as Record<string, unknown>)[key]] : []
  })
  return found.flatMap(one => valuesAt(one, rest))
}

describe('docs/gateway.example.yaml', () => {
  const content: unknown = parse(readFileSync(EXAMPLE, 'utf8'))

  it('is a file that the gateway takes without a word', async () => {
    const { config, problems } = await readGatewayFile(EXAMPLE, {
      TLS_FOLDER: tlsFolder(),
      ACME_KEY_HASH: `sha256:${'0a'.repeat(32)}`,
      ALICE_HASH: '$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      AFFINITY_SECRET: 'the same on all replicas',
    })
    assert.deepEqual(problems, [])
    assert.ok(config)
  })

  it('has the examples of policies that `npm run schema` writes', () => {
    const text = readFileSync(EXAMPLE, 'utf8')
    assert.equal(text, withExampleRoutes(text, POLICIES), 'run: npm run schema')
  })

  it('is a file that editors take', () => {
    assert.match(readFileSync(EXAMPLE, 'utf8'), /^# yaml-language-server: \$schema=gateway\.schema\.json\n/)
    assert.equal(z.fromJSONSchema(SCHEMA as z.core.JSONSchema.JSONSchema).safeParse(content).error, undefined)
  })

  it('has every key of the schema', () => {
    const paths = new Set(keyPaths(schemaByPlace()).map(path => path.join('.')))
    for (const known of ['upstreams.<name>.targets.weight', 'routes.rateLimit.tiers', 'routes.websocket.idleTimeout'])
      assert.ok(paths.has(known), known)
    const missing = [...paths].filter(path => {
      return valuesAt(content, (SHOWN_ELSEWHERE.get(path) ?? path).split('.')).length === 0
    })
    assert.deepEqual(missing, [])
  })
})

/** The files that the example names. */
function tlsFolder(): string {
  const folder = temporaryFolder()
  const authority = createAuthority('an authority')
  const { cert, key } = authority.issue('shop.example')
  const files = { ca: authority.cert, cert, key, api: cert, 'api-key': key, client: cert, 'client-key': key }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.pem`), text, { mode: 0o600 })
  return folder
}
