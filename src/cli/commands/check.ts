import { processEnv } from '../../config/env'
import { EXIT_CONFIG, EXIT_USAGE } from '../../config/exit-codes'
import { readGatewayFile } from '../../config/gateway-file'
import { formatProblems } from '../../config/problems'
import { counted, defineCommand, print } from '../command'
import { fileOf } from '../read-config'

const USAGE = `myesi-gateway check [FILE] [--quiet]

Checks a gateway.yaml as the gateway does before it starts or reloads: every problem, with its line. Without FILE: the
file in GATEWAY_CONFIG, or gateway.yaml. Variables (\${NAME}) are taken from the environment.

  --quiet   print nothing; only set the exit code

Exit code: 0 when the gateway would start with it, ${EXIT_CONFIG} when it would not, ${EXIT_USAGE} for invalid arguments.`

export const command = defineCommand({
  usage: USAGE,
  options: { quiet: { type: 'boolean', short: 'q' } },
  mostPositionals: 1,
  tooMany: 'One file at a time.',
  async run(values, positionals) {
    const file = fileOf(positionals[0])
    const { config, problems } = await readGatewayFile(file, processEnv())
    if (config === undefined) process.exitCode = EXIT_CONFIG
    if (values.quiet) return
    process.stderr.write(formatProblems(problems))
    if (config !== undefined)
      print(`${file} is valid: ${counted(config.routes, 'route')}, ${counted(config.upstreams, 'upstream')}.`)
  },
})
