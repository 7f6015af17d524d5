/** Preloaded into a measured Node program: tells its parent the longest pause of the event loop since the last question. */
const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks')
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()

process.on('message', message => {
  if (message !== 'longest pause') return
  // The timer it samples with has a period of 1 ms, which is no pause.
  process.send?.({ event: 'longest pause', milliseconds: Math.max(delay.max / 1e6 - 1, 0) })
  delay.reset()
})
