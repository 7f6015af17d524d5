/**
 * Preloaded into a measured Node program: reports to its parent the longest pause of the event loop since the last
 * question.
 */
const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks')
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()

process.on('message', message => {
  if (message !== 'longest pause') return
  // Subtracts the 1 ms period of the sampling timer, which is not a pause.
  process.send?.({ event: 'longest pause', milliseconds: Math.max(delay.max / 1e6 - 1, 0) })
  delay.reset()
})
