import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gatewayJsonSchema } from './json-schema'

/** `npm run schema`; from `dist/src/config` to the root of the project. */
writeFileSync(join(__dirname, '../../..', 'docs/gateway.schema.json'), gatewayJsonSchema())
