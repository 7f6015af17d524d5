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
  type ResourceDetector,
} from '@opentelemetry/resources'
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'

/** The release of the semantic conventions whose names are used, as `src/telemetry/semconv.ts` writes it. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0'

/**
 * Default service name, used by rules and dashboards; `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` override it.
 */
const SERVICE_NAME = 'myesi-api'

/**
 * The resource of this process. Only the environment detector is on by default: the SDK's defaults put the command
 * line, which may contain secrets, on every span and into `target_info`, and the cloud detectors wait for the network.
 *
 * @param detectorNames `OTEL_NODE_RESOURCE_DETECTORS`
 */
export function createResource(detectorNames: readonly string[] | undefined): Resource {
  const detectors = detectorNames === undefined ? [envDetector] : namedDetectors()
  return ourselves().merge(detectResources({ detectors }))
}

/** Detectors that `OTEL_NODE_RESOURCE_DETECTORS` names. */
export function namedDetectors(): ResourceDetector[] {
  return getResourceDetectors()
}

/** What is known without asking: the package, and an id of this process. */
export function ourselves(): Resource {
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
