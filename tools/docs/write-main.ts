import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describedSchema, gatewayJsonSchema } from '../../src/config/json-schema'
import { webhookJsonSchema } from '../../src/incidents/alerts/webhook-message'
import { fleetJsonSchema } from '../../src/incidents/fleet/fleet-json'
import { incidentJsonSchema } from '../../src/incidents/page/incident-json'
import { POLICIES } from '../../src/policies/registry'
import { format, resolveConfig } from 'prettier'
import { apiReference } from './api-reference'
import { withExampleRoutes } from './example-routes'
import { withKeyTables } from './key-tables'

/** `npm run schema`: writes what is generated in `docs/`. From `dist/tools/docs` to the root of the project. */
const DOCS = join(__dirname, '../../..', 'docs')
const CONFIGURATION = join(DOCS, 'configuration.md')
const EXAMPLE = join(DOCS, 'gateway.example.yaml')

writeFileSync(join(DOCS, 'gateway.schema.json'), gatewayJsonSchema())
writeFileSync(join(DOCS, 'incident.schema.json'), incidentJsonSchema())
writeFileSync(join(DOCS, 'fleet.schema.json'), fleetJsonSchema())
writeFileSync(join(DOCS, 'alert-webhook.schema.json'), webhookJsonSchema())
void writeApiReference()
writeFileSync(CONFIGURATION, withKeyTables(readFileSync(CONFIGURATION, 'utf8'), describedSchema()))
writeFileSync(EXAMPLE, withExampleRoutes(readFileSync(EXAMPLE, 'utf8'), POLICIES))

async function writeApiReference(): Promise<void> {
  const page = join(DOCS, 'api.md')
  writeFileSync(page, await format(apiReference(), { ...(await resolveConfig(page)), filepath: page }))
}
