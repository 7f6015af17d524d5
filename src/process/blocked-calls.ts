/**
 * Calls into the operating system that a thread of Node's pool does not return from: a write to a pipe that nobody reads, a
 * read from a mount that hangs. Node waits for these threads when a process exits, so that it would never end.
 */
let blocked = 0
let isExiting = false

/** Notes a call that was given up. @returns to be called when it has returned after all */
export function noteBlockedCall(): () => void {
  blocked++
  endIfBlocked()
  return () => {
    blocked--
  }
}

process.on('exit', () => {
  isExiting = true
  endIfBlocked()
})

function endIfBlocked(): void {
  // Nothing but a signal ends a process whose threads do not return.
  if (isExiting && blocked > 0) process.kill(process.pid, 'SIGKILL')
}
