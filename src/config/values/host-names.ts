import { refuse, type Parsed } from './parsed'

const ALLOWED = 'host names without ports, separated by commas, such as ops.shop.example'
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'i')

const HOSTS_ALLOWED = 'hosts with or without ports, separated by commas, such as ops.shop.example or 10.0.0.7:9464'

/** Parses a variable with a list of hosts, each with an optional port; returned in lower case. */
export function parseHosts(found: unknown): Parsed<readonly string[]> {
  const hosts = String(found)
    .split(',')
    .map(host => host.trim().toLowerCase())
    .filter(host => host !== '')
  const wrong = hosts.find(host => !/^[\w.:[\]-]+$/.test(host) || URL.parse(`http://${host}`) === null)
  return wrong === undefined ? { value: hosts } : refuse(`has "${wrong}", which is not a host`, HOSTS_ALLOWED)
}

/** Parses a variable with a list of host names; returned in lower case, because names are case-insensitive. */
export function parseHostNames(found: unknown): Parsed<readonly string[]> {
  const names = String(found)
    .split(',')
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '')
  const wrong = names.find(name => !HOST_NAME.test(name))
  return wrong === undefined ? { value: names } : refuse(`has "${wrong}", which is not a host name`, ALLOWED)
}
