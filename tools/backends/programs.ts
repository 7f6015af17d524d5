import { findPinned } from '../stack/pinned-program'

/** Finds or builds VictoriaLogs; a build takes about a minute. */
export function findVictoriaLogs(): Promise<string> {
  const command = 'github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs'
  return findPinned({ name: 'victoria-logs', folder: 'tools/backends/victoria-logs', command, linkerFlags: '-s -w' })
}

/** Finds or builds VictoriaMetrics, the single-node program; a build takes about a minute. */
export function findVictoriaMetrics(): Promise<string> {
  const command = 'github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics'
  const folder = 'tools/backends/victoria-metrics'
  return findPinned({ name: 'victoria-metrics', folder, command, linkerFlags: '-s -w' })
}

/** Finds or builds Jaeger 2, which is a Collector with parts of its own; a build takes 21 minutes on two busy cores. */
export function findJaeger(): Promise<string> {
  const command = 'github.com/jaegertracing/jaeger/cmd/jaeger'
  return findPinned({ name: 'jaeger', folder: 'tools/backends/jaeger', command, linkerFlags: '-s -w' })
}
