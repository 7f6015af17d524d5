import type { Meter } from '@opentelemetry/api'

/**
 * Measures the process's resource usage by the semantic conventions; instrumentation runtime-node measures the runtime.
 */
export function measureProcess(meter: Meter): void {
  meter
    .createObservableCounter('process.cpu.time', { description: 'CPU time used by the process.', unit: 's' })
    .addCallback(result => {
      const { user, system } = process.cpuUsage()
      result.observe(user / 1e6, { 'cpu.mode': 'user' })
      result.observe(system / 1e6, { 'cpu.mode': 'system' })
    })
  meter
    .createObservableUpDownCounter('process.memory.usage', {
      description: 'Physical memory in use by the process.',
      unit: 'By',
    })
    .addCallback(result => result.observe(process.memoryUsage.rss()))
  meter
    .createObservableGauge('process.uptime', { description: 'Time since the process started.', unit: 's' })
    .addCallback(result => result.observe(process.uptime()))
}
