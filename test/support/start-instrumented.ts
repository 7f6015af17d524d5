import { join } from 'node:path'
import { plainEnvironment, startProcess, type LogEntry, type TestProcess } from './start-process'

/** The program of `test/fixtures/instrumented-program.ts` as a child, once it listens. */
export interface InstrumentedProgram {
  readonly url: string
  readonly opsUrl: string
  readonly process: TestProcess
  /** What it said when it listened: `enabled`, `exporters`, `problems`, `notInstrumented`. */
  readonly start: LogEntry
  /** The exposition, asked for with these headers. */
  readonly scrape: (
    headers?: Record<string, string>,
  ) => Promise<{ readonly status: number; readonly contentType: string | null; readonly text: string }>
  /** SIGTERM; resolves with its last word: `complete` and `took_ms`. */
  readonly stop: () => Promise<LogEntry>
}

// Compiled, this file is dist/test/support/start-instrumented.js.
const DIST = join(__dirname, '../..')

export async function startInstrumented(
  settings: NodeJS.ProcessEnv = {},
  preload: readonly string[] = [],
): Promise<InstrumentedProgram> {
  const requires = [...preload, join(DIST, 'otel/sdk/register.js')].flatMap(path => ['--require', path])
  const child = startProcess({
    name: 'instrumented program',
    path: process.execPath,
    args: [...requires, join(DIST, 'test/fixtures/instrumented-program.js')],
    env: plainEnvironment({ TELEMETRY_HTTP_INSTRUMENTATION: 'stock', ...settings }),
  })
  const start = await child.waitForLog('"listening"', entry => entry['event'] === 'listening')
  const url = start['url'] as string
  return {
    url,
    opsUrl: `http://127.0.0.1:${start['opsPort'] as number}`,
    process: child,
    start,
    scrape: async (headers = {}) => {
      const response = await fetch(`${url}/metrics`, { headers })
      return { status: response.status, contentType: response.headers.get('content-type'), text: await response.text() }
    },
    stop: async () => {
      child.signal('SIGTERM')
      return child.waitForLog('"stopped"', entry => entry['event'] === 'stopped')
    },
  }
}
