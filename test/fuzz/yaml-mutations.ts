import { mutateBytes, type Random } from './random'

/** The text of a `gateway.yaml` with a few changes that people, editors and templates make. */
export function mutateYaml(text: string, random: Random): string {
  let lines = text.split('\n')
  for (let edits = 1 + random.below(4); edits > 0; edits--) lines = mutateLines(lines, random)
  const mutated = lines.join(random.chance(0.03) ? '\r\n' : '\n')
  return random.chance(0.15) ? mutateBytes(mutated, random) : mutated
}

function mutateLines(lines: readonly string[], random: Random): string[] {
  const at = random.below(lines.length)
  const line = lines[at] as string
  const count = random.chance(0.2) ? 1 + random.below(20) : 1
  const block = lines.slice(at, at + count)
  const put = (...now: readonly string[]): string[] => [...lines.slice(0, at), ...now, ...lines.slice(at + 1)]
  const [, indent = '', dash = '', key = '', value = ''] = /^(\s*)(- )?([\w-]+:)?(.*)$/.exec(line) ?? []
  switch (random.below(9)) {
    case 0:
      return lines.toSpliced(at, count)
    case 1:
      return lines.toSpliced(random.below(lines.length), 0, ...block)
    case 2:
      return put(`${random.pick(['', ' ', '  ', '\t', '      '])}${line.trimStart()}`)
    case 3:
    case 4:
      return put(`${indent}${dash}${key} ${random.pick(VALUES)}`)
    case 5:
      return put(
        `${indent}${dash}${random.pick([`x${key}`, key.slice(1), key.toUpperCase(), random.pick(KEYS)])}${value}`,
      )
    case 6:
      return put(line, `${indent}${random.pick(KEYS)} ${random.pick(VALUES)}`)
    case 7:
      return put(line.replace(/\d+/, () => String(random.pick([0, -1, 1, 7, 1e9, 1e21, 0.5]))))
    default:
      return put(line.replace(/[a-z0-9.]+/i, () => random.pick(VALUES)))
  }
}

const VALUES = [
  '',
  'null',
  '~',
  'true',
  'yes',
  '0',
  '-1',
  '1',
  '1.5',
  '1e400',
  '.inf',
  '.nan',
  '0x10',
  '0o17',
  '1_000',
  '10s',
  '0s',
  '1ms',
  '99999d',
  '-5s',
  '10',
  '5KiB',
  '0B',
  '1e9GiB',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[{}]',
  '{a: b}',
  "''",
  '""',
  "'a",
  '"\\x"',
  '"\\u0000"',
  '*members',
  '*nobody',
  '&a b',
  '<<: *members',
  '!!js/function x',
  '!!binary aGk=',
  '!custom y',
  '|',
  '>-',
  '2024-01-01',
  '@x',
  '`x`',
  '%x',
  '? a',
  '- a',
  '---',
  '...',
  '#',
  ': :',
  '${NOBODY}',
  '${TLS_FOLDER:-x}',
  '${',
  '__proto__',
  'constructor',
  'toString',
  'héllo',
  '😀',
  '\ufeff',
  '\u2028',
  'a'.repeat(5_000),
  'http://127.0.0.1:1',
  'http://127.0.0.1:99999',
  'http://[::1]:1',
  'ftp://x',
  'x',
  'GET',
  '/a',
  '/:x',
  '/*',
  '/a/../b',
  'round-robin',
  'hash',
  'header:x',
  'header:',
  'consumer',
  'gcra',
  '100',
  '101',
  '600',
  '[connect, reset]',
  '[GET, GET]',
  'always',
  'never',
  '127.0.0.1',
  '0.0.0.0/0',
  '127.0.0.1/33',
  '::/0',
  'orders',
  'web',
]
const KEYS = [
  'routes:',
  'upstreams:',
  'entrypoint:',
  'name:',
  'match:',
  'path:',
  'upstream:',
  'rateLimit:',
  'auth:',
  '__proto__:',
  'constructor:',
  'slo:',
  'respond:',
  'redirect:',
  'websocket:',
  'retries:',
  'exact:',
  'tls:',
  'methods:',
  'headers:',
  'host:',
  '? x',
  'null:',
  '1:',
  'timeouts:',
  'cors:',
  'cost:',
  'tiers:',
]
