import assert from 'node:assert/strict'
import type { Environment } from '../../../src/config/env'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import type { ConfigProblem } from '../../../src/config/types'
import type { GatewayConfig } from '../../../src/config/gateway-config'

/** A valid file of six lines, and what a test adds to one of them. */
export interface Additions {
  readonly entrypoint?: string
  readonly upstreams?: string
  readonly upstream?: string
  readonly route?: string
  readonly match?: string
  readonly routes?: string
}

/** Every addition is on the line whose number `LINES` says. */
export function gatewayYaml(additions: Additions = {}): string {
  const { entrypoint = '', upstreams = '', upstream = '', route = '', match = 'path: /orders', routes = '' } = additions
  return [
    `entrypoint: { ${entrypoint} }`,
    'upstreams:',
    `  orders: { targets: [http://127.0.0.1:9001], ${upstream} }`,
    upstreams,
    'routes:',
    `  - { name: orders, upstream: orders, match: { ${match} }, ${route} }`,
    routes,
    '',
  ].join('\n')
}

export const LINES: Readonly<Record<keyof Additions, number>> = {
  entrypoint: 1,
  upstream: 3,
  upstreams: 4,
  route: 6,
  match: 6,
  routes: 7,
}

export function problemsIn(text: string, env: Environment = {}): readonly ConfigProblem[] {
  const { config, problems } = parseGatewayFile(text, 'gateway.yaml', env)
  const isRefused = problems.some(problem => problem.severity !== 'warning')
  assert.equal(config === undefined, isRefused, 'a file is refused exactly when a problem is an error')
  return problems
}

export function configOf(text: string, env: Environment = {}): GatewayConfig {
  const { config, problems } = parseGatewayFile(text, 'gateway.yaml', env)
  assert.deepEqual(problems, [])
  assert.ok(config)
  return config
}

/** Takes `gateway.yaml:12:7 routes[0].upstream` apart, and says what stands at that place of the text. */
export function placeOf({ where }: ConfigProblem, text: string): { line: number; path: string; source: string } {
  const [, line = '', column = '', path = ''] = /^gateway\.yaml:(\d+):(\d+)(?: (.+))?$/.exec(where) ?? []
  assert.notEqual(line, '', `no line and column in "${where}"`)
  const source = text.split('\n')[Number(line) - 1]?.slice(Number(column) - 1) ?? ''
  return { line: Number(line), path, source }
}
