import { findCollector } from './collector'

/** `npm run collector:build`: builds our Collector, unless it is built already, and prints its path. */
async function main(): Promise<void> {
  // An empty search path: a Collector on the PATH may be usable, but this command is for our own build.
  const { path, version } = await findCollector({ searchPath: '' })
  process.stdout.write(`otelcol ${version}: ${path}\n`)
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
