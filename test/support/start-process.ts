import { ManagedProcess, type ProcessCommand } from '../../tools/stack/managed-process'

/** One line of a JSON log. */
export type LogEntry = Readonly<Record<string, unknown>>

/** A child process of a test. The mocha root hook ends every one that a test left running. */
export class TestProcess extends ManagedProcess {
  /** The lines of its output that are JSON objects, in order. */
  get logs(): LogEntry[] {
    return this.lines.map(parseLogEntry).filter(entry => entry !== undefined)
  }

  /** The first log entry, past or future, for which `matches` is true. */
  async waitForLog(what: string, matches: (entry: LogEntry) => boolean, timeoutMs?: number): Promise<LogEntry> {
    const isIt = (line: string): boolean => {
      const entry = parseLogEntry(line)
      return entry !== undefined && matches(entry)
    }
    return parseLogEntry(await this.waitForLine(what, isIt, timeoutMs))!
  }
}

export function startProcess(command: ProcessCommand): TestProcess {
  return new TestProcess({ ...command, env: command.env ?? plainEnvironment() })
}

/** Runs a command to its end: for programs that answer with an exit code. */
export async function runProcess(command: ProcessCommand, timeoutMs = 30_000): Promise<TestProcess> {
  const child = startProcess(command)
  const timer = setTimeout(() => child.signal('SIGKILL'), timeoutMs)
  await child.exited
  clearTimeout(timer)
  return child
}

/**
 * The environment without the settings of whoever runs the tests (`PORT`, `REDIS_URL`, `OTEL_*`, …): a test says itself
 * what its processes are told.
 */
export function plainEnvironment(settings: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SYSTEMROOT', 'LOCALAPPDATA', 'XDG_CACHE_HOME', 'TEST_RUN_ID']
  const environment: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (kept.includes(name.toUpperCase())) environment[name] = value
  }
  return { ...environment, ...settings }
}

function parseLogEntry(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as LogEntry
  } catch {
    return undefined
  }
}
