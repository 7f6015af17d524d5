/**
 * Number of system calls that block a thread of Node's pool: a write to a full pipe, a read from a hanging mount. Node waits
 * for these threads at exit, so the process would never end.
 */
let blocked = 0
let isExiting = false

/** Records a call that was given up. @returns function to call if it returns after all */
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
  // Only a signal ends a process with blocked threads.
  if (isExiting && blocked > 0) process.kill(process.pid, 'SIGKILL')
}
