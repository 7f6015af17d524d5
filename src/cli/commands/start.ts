import { resolve } from 'node:path'
import { EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from '../../config/exit-codes'
import { gatewayArguments } from '../../process/gateway-command'
import { becomeNode } from '../become-node'
import { defineCommand } from '../command'

/** Compiled, this file is dist/src/cli/commands/start.js. */
const DIST = resolve(__dirname, '../../..')

export const command = defineCommand({
  usage: `myesi-gateway start [FILE]

Starts the gateway. Without FILE: with the file in GATEWAY_CONFIG, or gateway.yaml in the working directory.
Settings are variables of the environment: docs/configuration.md. SIGTERM and Ctrl-C let requests finish, SIGHUP reads the
file again.

Exit code: 0 after it was asked to stop, 1 when it was asked twice, ${EXIT_CONFIG} for a configuration that is wrong, ${EXIT_OS_ERROR} when it cannot
listen, ${EXIT_USAGE} for invalid arguments.`,
  options: {},
  mostPositionals: 1,
  tooMany: 'One file at a time.',
  run(_values, [file]) {
    becomeNode(gatewayArguments(DIST), file === undefined ? {} : { GATEWAY_CONFIG: file })
  },
})
