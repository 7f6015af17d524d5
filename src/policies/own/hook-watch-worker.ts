import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import {
  BEAT_MS,
  BEATS,
  BLOCKED_AFTER_LOOKS,
  PENDING,
  RUNNING,
  WATCHED_PHASES,
  type BlockedReport,
  type WatchedName,
} from './hook-watch'

/** The thread that watches the event loop of the gateway (`hook-watch.ts`). */
const cells = workerData as Int32Array
const names: (WatchedName | undefined)[] = []
parentPort?.on('message', (name: WatchedName) => {
  names[name.number] = name
})

/** Most policies that one line names. */
const MOST_NAMED = 5

let lastBeat = Atomics.load(cells, BEATS)
let running = 0
let looks = 0
let stillSince = performance.now()

setInterval(function look() {
  const beat = Atomics.load(cells, BEATS)
  const nowRunning = Atomics.load(cells, RUNNING)
  if (beat !== lastBeat) {
    if (looks >= BLOCKED_AFTER_LOOKS) reportEnd()
    lastBeat = beat
    looks = 0
    stillSince = performance.now()
    running = nowRunning
    return
  }
  // A hook that returned in between does not block; the loop around it may.
  if (nowRunning !== running && looks < BLOCKED_AFTER_LOOKS) running = 0
  if (looks === 0) running = nowRunning
  if (++looks === BLOCKED_AFTER_LOOKS) print(performance.now() - stillSince)
}, BEAT_MS)

function described(ms: number): string | undefined {
  const seconds = `${(ms / 1_000).toFixed(1)} s`
  const found = hookOf(running)
  if (found !== undefined) {
    return `policy ${found.text} has blocked the event loop for ${seconds}: the gateway answers nothing until it returns`
  }
  const suspects = names.filter(name => name !== undefined && Atomics.load(cells, PENDING + name.number) > 0)
  if (suspects.length === 0) return undefined // no policy: this watch has nothing to say
  const listed = suspects.slice(0, MOST_NAMED).map(name => nameText(name as WatchedName))
  const more = suspects.length > MOST_NAMED ? ` and ${suspects.length - MOST_NAMED} more` : ''
  return `the event loop has been blocked for ${seconds}; policies with an unsettled promise: ${listed.join(', ')}${more}`
}

function reportEnd(): void {
  const found = hookOf(running)
  if (found === undefined) return
  const report: BlockedReport = {
    number: found.number,
    phase: found.phase,
    blockedMs: Math.round(performance.now() - stillSince),
  }
  parentPort?.postMessage(report)
}

function hookOf(cell: number): { number: number; phase: (typeof WATCHED_PHASES)[number]; text: string } | undefined {
  if (cell === 0) return undefined
  const number = Math.floor((cell - 1) / WATCHED_PHASES.length)
  const phase = WATCHED_PHASES[(cell - 1) % WATCHED_PHASES.length]
  const name = names[number]
  if (name === undefined || phase === undefined) return undefined
  return { number, phase, text: `${nameText(name)} in ${phase}` }
}

function nameText({ policy, route }: WatchedName): string {
  return route === undefined ? `${policy} (entrypoint)` : `${policy} (route ${route})`
}

function print(ms: number): void {
  const text = described(ms)
  if (text === undefined) return
  try {
    writeSync(2, `${text}\n`)
  } catch {
    // Standard error is closed or full: there is no other place, because the loop cannot log.
  }
}
