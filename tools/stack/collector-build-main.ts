import { findCollector } from './collector'

/** `npm run collector:build`: builds our Collector, unless it is built already, and says where it is. */
async function main(): Promise<void> {
  // An empty search path: one on the PATH may be good enough to run, and is still not the one asked for here.
  const { path, version } = await findCollector({ searchPath: '' })
  process.stdout.write(`otelcol ${version}: ${path}\n`)
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
