import { EXIT_USAGE } from '../../config/exit-codes'
import { gatewayJsonSchema } from '../../config/json-schema'
import { defineCommand } from '../command'

export const command = defineCommand({
  usage: `myesi-gateway schema

Prints the JSON Schema of gateway.yaml, for editors. The package has it as a file too: docs/gateway.schema.json.

Exit code: 0, ${EXIT_USAGE} for invalid arguments.`,
  options: {},
  mostPositionals: 0,
  run() {
    process.stdout.write(gatewayJsonSchema())
  },
})
