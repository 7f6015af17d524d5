import type { ConfigProblem } from '../config/types'
import type { Path } from '../config/variables'
import { mistake } from '../config/values/parsed'
import type { CheckContext } from './check-context'

/** Checks that clients are asked for the certificates that a policy needs. */
export function checkCertificates(context: CheckContext, path: Path): ConfigProblem[] {
  if (context.inFile('entrypoint', 'tls', 'clientCertificates') !== undefined) return []
  const never = mistake('has no effect: clients are not asked for certificates', 'entrypoint.tls.clientCertificates')
  return [context.problemAtKey(path, never)]
}
