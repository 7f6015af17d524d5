/**
 * Preloaded into whatever is measured: says what the process has used so far when the parent asks. `cpuUsage` is user and
 * system time of all threads, ended ones included, in microseconds; on Linux the same as `/proc/<pid>/stat`, only finer.
 */
process.on('message', message => {
  if (message !== 'usage') return
  const { user, system } = process.cpuUsage()
  process.send?.({ event: 'usage', cpuMicros: user + system, rssBytes: process.memoryUsage.rss() })
})
