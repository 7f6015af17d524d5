import '../../tools/stack/require-node'
import { processesAlive } from '../../tools/stack/managed-process'
import { stopUpstreams } from '../support/start-upstream'
import { removeTemporaryFolders } from '../support/temporary-folder'
import { startFirstStack } from './first-stack'
import { provoking } from './provoke'
import { FACTOR, say, type Row, type Stack } from './scenario'
import { OF_SECOND_STACK, startSecondStack } from './second-stack'
import { writeTable } from './table'

/**
 * `npm run alerts:test`: provokes each alert by its true cause, with real programs and the shipped rules, until its message
 * has arrived and has resolved. Every duration of the rules, of Prometheus and of Alertmanager is divided by one factor,
 * nothing else is changed. Writes the table into docs/alerts-tested.md; exit code 1 when an alert did not come or did not end.
 */
async function main(): Promise<boolean> {
  const only = process.argv.slice(2)
  const isChosen = (alert: string): boolean => only.length === 0 || only.includes(alert)
  say(`Durations are divided by ${FACTOR}.`)
  const rows: Row[] = []
  if (only.length === 0 || only.some(alert => !OF_SECOND_STACK.includes(alert))) {
    await act(await startFirstStack(isChosen))
    await endAll()
  }
  if (OF_SECOND_STACK.some(isChosen)) await act(await startSecondStack(isChosen))
  const unknown = only.filter(alert => !rows.some(row => row.alert === alert))
  if (unknown.length > 0) say(`No scenario provokes ${unknown.join(', ')}.`)
  return unknown.length > 0 || rows.some(({ failed }) => failed)

  async function act(stack: Stack): Promise<void> {
    const provoke = provoking(stack)
    for (const scenarios of stack.acts) {
      rows.push(...(await Promise.all(scenarios.filter(({ alert }) => isChosen(alert)).map(provoke))))
      // After each act, so that a run that is ended keeps what it has.
      writeTable(rows, only.length === 0)
    }
  }
}

async function endAll(): Promise<void> {
  await Promise.all(processesAlive().map(async child => child.kill()))
  await stopUpstreams()
}

async function end(code: number): Promise<void> {
  await endAll()
  removeTemporaryFolders()
  process.exit(code)
}

// What it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(1))

void main().then(
  failed => end(failed ? 1 : 0),
  async (error: unknown) => {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error))
    await end(1)
  },
)
