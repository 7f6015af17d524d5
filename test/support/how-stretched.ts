/** CPU time of the calibration. */
const WORK_US = 100_000

/**
 * How many times longer work takes than its own CPU time, because other processes use the cores: 1 on an idle machine, 3
 * where this process gets a third of a core. Bounds of time are multiplied with it.
 */
export function howStretched(): number {
  const text = JSON.stringify(Array.from({ length: 500 }, (_, index) => ({ index, name: `name ${index}` })))
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  let usedUs = 0
  while (usedUs < WORK_US) {
    JSON.parse(text)
    const { user, system } = process.cpuUsage(cpu)
    usedUs = user + system
  }
  return Math.max(1, ((performance.now() - startedAt) * 1_000) / usedUs)
}
