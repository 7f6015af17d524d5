import { relative } from 'node:path'
import type { Stack, StackPorts } from './stack'

export interface SummaryOptions {
  readonly ports: StackPorts
  readonly stack: Stack
  /** Folder of the logs. */
  readonly logs: string
  /** Programs that have an API but no web interface. */
  readonly withoutPages: ReadonlySet<string>
}

/** The text printed when the stack is up: addresses and things to try. */
export function summary({ ports, stack, logs, withoutPages }: SummaryOptions): string {
  const gateway = `http://127.0.0.1:${ports.gateway}`
  const redis = stack.components.find(({ name }) => name === 'redis')?.process.pid
  const nowhere = process.platform === 'win32' ? 'NUL' : '/dev/null'
  const load = (path: string): string => `curl -s -o ${nowhere} "${gateway}${path}?n=[1-500]"`
  const apiOnly = (name: string): string => (withoutPages.has(name) ? '   (API only, no pages)' : '')
  const places = [
    ['gateway', gateway],
    ['operations', `http://127.0.0.1:${ports.gatewayOps}`],
    ['Prometheus', `http://127.0.0.1:${ports.prometheus}${apiOnly('prometheus')}`],
    ['Alertmanager', `http://127.0.0.1:${ports.alertmanager}${apiOnly('alertmanager')}`],
    ['incidents', `http://127.0.0.1:${ports.incidents}/incidents`],
    ['mail that alerts sent', stack.mail.url],
    ['what Slack would get', `http://127.0.0.1:${ports.slackCatcher}`],
    ['logs', relative(process.cwd(), logs)],
  ] as const
  const tries = [
    ['500s: mail in 90 s', load('/demo/status/500')],
    ['a client over its limit', load('/api/orders')],
    ['no Redis for a while', `kill -STOP ${redis}   and back: kill -CONT ${redis}`],
  ] as const
  return [
    '',
    '  The stack is up',
    '',
    ...places.map(([what, where]) => `    ${what.padEnd(24)} ${where}`),
    '',
    '  Try, and watch the alerts and the mail:',
    ...tries.map(([what, command]) => `    ${what.padEnd(24)} ${command}`),
    '',
    '  Ctrl-C stops all of it.',
    '',
  ].join('\n')
}
