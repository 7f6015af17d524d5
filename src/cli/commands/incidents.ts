import { resolve } from 'node:path'
import { EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from '../../config/exit-codes'
import { becomeNode } from '../become-node'
import { defineCommand } from '../command'

/** Compiled, this file is dist/src/cli/commands/incidents.js. */
const PROGRAM = resolve(__dirname, '../../incidents/main.js')

export const command = defineCommand({
  usage: `myesi-gateway incidents

Starts the incident service. Settings are variables of the environment: docs/configuration.md.

Exit code: 0 after it was asked to stop, ${EXIT_CONFIG} for settings that are wrong, ${EXIT_OS_ERROR} when it cannot listen, ${EXIT_USAGE} for invalid
arguments.`,
  options: {},
  mostPositionals: 0,
  run() {
    becomeNode(['--enable-source-maps', PROGRAM], {})
  },
})
