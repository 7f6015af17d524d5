import { processEnv } from '../config/env'
import { EXIT_CONFIG } from '../config/exit-codes'
import type { GatewayConfig } from '../config/gateway-config'
import { readGatewayFile } from '../config/gateway-file'
import { formatProblems } from '../config/problems'

/** The given file, or the one that the gateway would read. */
export function fileOf(named: string | undefined): string {
  return named ?? (processEnv()['GATEWAY_CONFIG'] || 'gateway.yaml')
}

/** Reads the file; prints its problems, and exits if the gateway would not start. */
export async function readConfig(file: string): Promise<GatewayConfig> {
  const { config, problems } = await readGatewayFile(file, processEnv())
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  return config ?? process.exit(EXIT_CONFIG)
}
