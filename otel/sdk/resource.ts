import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getResourceDetectors } from '@opentelemetry/auto-instrumentations-node'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  type Resource,
} from '@opentelemetry/resources'
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'

/** The release of the semantic conventions whose names are used, as `src/telemetry/semconv.ts` writes it. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0'

/** The name that rules and dashboards stand on; `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say otherwise. */
const SERVICE_NAME = 'myesi-api'

/**
 * Who is speaking. Only the environment adds to it unless more detectors are asked for: the SDK's defaults put the command
 * line, with whatever secret is in it, on every span and into `target_info`, and those of the clouds wait for a network.
 *
 * @param detectorNames `OTEL_NODE_RESOURCE_DETECTORS`
 */
export function createResource(detectorNames: readonly string[] | undefined): Resource {
  const detectors = detectorNames === undefined ? [envDetector] : getResourceDetectors()
  return ourselves().merge(detectResources({ detectors }))
}

function ourselves(): Resource {
  const version = packageVersion()
  return defaultResource()
    .merge(resourceFromAttributes(serviceInstanceIdDetector.detect().attributes ?? {}))
    .merge(
      resourceFromAttributes(
        { [ATTR_SERVICE_NAME]: SERVICE_NAME, ...(version === undefined ? {} : { [ATTR_SERVICE_VERSION]: version }) },
        { schemaUrl: SCHEMA_URL },
      ),
    )
}

export function packageVersion(): string | undefined {
  try {
    // From dist/otel/sdk/ to the project's own package.json.
    const file: unknown = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8'))
    const version = typeof file === 'object' && file !== null && 'version' in file ? file.version : undefined
    return typeof version === 'string' ? version : undefined
  } catch {
    // Telemetry without a version is better than none.
    return undefined
  }
}
