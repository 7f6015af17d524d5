import { processEnv } from '../config/env'
import { EXIT_CONFIG } from '../config/exit-codes'
import type { GatewayConfig } from '../config/gateway-config'
import { readGatewayFile } from '../config/gateway-file'
import { formatProblems } from '../config/problems'

/** The file that is named, else the one that the gateway would read. */
export function fileOf(named: string | undefined): string {
  return named ?? (processEnv()['GATEWAY_CONFIG'] || 'gateway.yaml')
}

/** Its content; prints what is wrong with it, and ends where the gateway would not start. */
export async function readConfig(file: string): Promise<GatewayConfig> {
  const { config, problems } = await readGatewayFile(file, processEnv())
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  return config ?? process.exit(EXIT_CONFIG)
}
