import { join } from 'node:path'
import { buildOnce, executable, isExecutable } from './go-build'

export interface CollectorBuild {
  /** The Go command. */
  readonly go: string
  /** The Builder's manifest. */
  readonly manifest: string
  /** Version of the Builder, equal to that of the components. */
  readonly version: string
  /** Path of the program to build; its folder is created. */
  readonly target: string
  readonly log: (line: string) => void
}

/**
 * Builds a Collector with the OpenTelemetry Collector Builder, both from the Go module proxy.
 *
 * @throws with the last lines of the step that failed, or after 40 minutes.
 */
export async function buildCollector({ go, manifest, version, target, log }: CollectorBuild): Promise<void> {
  await buildOnce({
    what: `the OpenTelemetry Collector ${version}`,
    go,
    target,
    log,
    isBuilt: async () => isExecutable(target),
    build: async (draft, step) => {
      const source = `go.opentelemetry.io/collector/cmd/builder@v${version}`
      await step('the Builder', go, ['install', source], { env: { GOBIN: draft } })
      // Strict: the build fails if a version differs from the manifest.
      const builder = join(draft, executable('builder'))
      await step('the Collector', builder, [`--config=${manifest}`, '--skip-strict-versioning=false'])
      return join(draft, 'dist', executable('otelcol'))
    },
  })
}
