import { fork, type ChildProcess } from 'node:child_process'
import type { ManagedProcess } from './managed-process'

/**
 * A process that outlives us briefly: if we are killed without cleanup, it ends the programs that we started. Our own
 * Node programs detect that themselves (see `ipc`); Redis and Prometheus do not.
 */
export interface Guard {
  /** Adds a process that was just started. */
  watch(child: ManagedProcess): void
  /** Ends the guard; called once all watched processes have ended. */
  release(): void
}

type Message = { readonly started: number } | { readonly ended: number }

/** How long the programs may take to end in order. */
const GRACE_MS = 3_000

export function startGuard(): Guard {
  const guard: ChildProcess = fork(__filename, { detached: process.platform !== 'win32', stdio: 'ignore' })
  // The guard must not keep this process alive.
  guard.unref()
  guard.channel?.unref()
  const tell = (message: Message): void => {
    if (guard.connected) guard.send(message)
  }
  return {
    watch: child => {
      const { pid } = child
      if (pid === undefined) return
      tell({ started: pid })
      void child.exited.then(() => tell({ ended: pid }))
    },
    release: () => {
      if (guard.connected) guard.disconnect()
    },
  }
}

function standGuard(): void {
  const pids = new Set<number>()
  process.on('message', (message: Message) => {
    if ('started' in message) pids.add(message.started)
    else pids.delete(message.ended)
  })
  process.once('disconnect', () => {
    for (const pid of pids) end(pid, 'SIGTERM')
    setTimeout(() => {
      for (const pid of pids) end(pid, 'SIGKILL')
    }, GRACE_MS)
  })
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended already.
  }
}

if (require.main === module) standGuard()
