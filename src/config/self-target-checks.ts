import { hostname, networkInterfaces } from 'node:os'
import { readSettings, type Environment } from './env'
import { problemAt } from './findings'
import { parseAuthorizerUrl } from '../policies/auth/external-values'
import type { ConfigProblem } from './types'
import { asList, asMap } from './understood'
import { mistake } from './values/parsed'
import { parseTarget } from './values/target'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/
const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::']

/** Warns of targets that are this gateway: each request would loop until it is refused. */
export function checkSelfTargets(source: YamlSource, env: Environment): ConfigProblem[] {
  const { settings } = readSettings(env)
  if (settings === undefined || settings.port === 0) return []
  const { port, host } = settings
  const itself = mistake(`is this gateway itself (PORT ${port}): requests would loop`, 'another server')
  const upstreams = Object.entries(asMap(source.valueAt(['upstreams']))).flatMap(([name, upstream]) =>
    asList(asMap(upstream)['targets']).flatMap((raw, index) => {
      const target = parseTarget(raw)
      if (!('value' in target) || !isHere(new URL(target.value.origin), port, host)) return []
      const at: Path = ['upstreams', name, 'targets', index]
      return [{ ...problemAt(at, itself, source), severity: 'warning' as const }]
    }),
  )
  const authorizers = asList(source.valueAt(['routes'])).flatMap((route, index) => {
    const url = parseAuthorizerUrl(asMap(asMap(asMap(route)['auth'])['external'])['url'])
    if (!('value' in url) || !isHere(new URL(url.value.origin), port, host)) return []
    const at: Path = ['routes', index, 'auth', 'external', 'url']
    return [{ ...problemAt(at, itself, source), severity: 'warning' as const }]
  })
  return [...upstreams, ...authorizers]
}

function isHere({ hostname: name, port, protocol }: URL, ownPort: number, ownHost: string): boolean {
  if (Number(port || (protocol === 'https:' ? 443 : 80)) !== ownPort) return false
  const address = name.replace(/^\[|\]$/g, '')
  if (!EVERY_ADDRESS.includes(ownHost)) return address === ownHost || (LOOPBACK.test(name) && LOOPBACK.test(ownHost))
  if (LOOPBACK.test(name) || EVERY_ADDRESS.includes(address) || address === hostname()) return true
  return Object.values(networkInterfaces()).some(addresses => addresses?.some(own => own.address === address))
}
