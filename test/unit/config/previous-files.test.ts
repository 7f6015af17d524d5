import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { Environment } from '../../../src/config/env'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import { createAuthority } from '../../support/certificates'
import { temporaryFolder } from '../../support/temporary-folder'

/** One folder per commit: the files it shipped, and the configurations that its tests started with. */
const PREVIOUS = resolve(__dirname, '../../../../test/fixtures/previous')

/** Warnings about files that were valid before. CHANGELOG.md announces those that are new. */
const DOCUMENTED = [
  /^"on" is called "conditions" now/,
  / to the upstream of routes\[\d+\] .*, without its access$/,
  / is a scope that no consumer has: no API key is accepted here$/,
  / allows no request: no consumer has an API key$/,
  / is fetched without TLS: anyone on the network path can forge tokens$/,
  / is used by no route$/,
]

/** Of the files that were shipped. */
const EXAMPLE_VARIABLES = {
  ACME_KEY_HASH: `sha256:${'0'.repeat(64)}`,
  BENCH_UPSTREAM: 'http://127.0.0.1:9001',
  DEMO_UPSTREAM_URL: 'http://127.0.0.1:9001',
}

interface PreviousFile {
  readonly title: string
  readonly config: string
  readonly env?: Environment
}

const FILES: readonly PreviousFile[] = readdirSync(PREVIOUS, { recursive: true, encoding: 'utf8' }).flatMap(name => {
  const read = (): string => readFileSync(join(PREVIOUS, name), 'utf8')
  if (name.endsWith('.yaml')) return [{ title: name, config: read() }]
  if (!name.endsWith('.json')) return []
  const configurations = JSON.parse(read()) as Omit<PreviousFile, 'title'>[]
  return configurations.map((configuration, index) => ({ title: `${name}[${index}]`, ...configuration }))
})

describe('a gateway.yaml that an earlier version accepted', function () {
  this.timeout(30_000)
  this.slow(10_000)

  let folder: string

  before(() => {
    folder = temporaryFolder()
    const { certFile, keyFile } = createAuthority('previous')
    for (const name of ['cert.pem', 'ca.pem', 'client.pem']) copyFileSync(certFile, join(folder, name))
    for (const name of ['key.pem', 'client-key.pem']) {
      copyFileSync(keyFile, join(folder, name))
      chmodSync(join(folder, name), 0o600)
    }
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }]
    writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys }))
  })

  it('is accepted by this version, with documented warnings at most', () => {
    assert.ok(FILES.length > 300, `${FILES.length} files`)
    const surprises = FILES.flatMap(({ title, config, env = {} }) => {
      const variables = { ...EXAMPLE_VARIABLES, ...env, FILES: folder, TLS_FOLDER: folder }
      const { config: parsed, problems } = parseGatewayFile(config, basename(title), variables)
      const unknown = problems.filter(({ problem }) => !DOCUMENTED.some(documented => documented.test(problem)))
      return parsed === undefined || unknown.length > 0 ? [{ title, unknown }] : []
    })
    assert.deepEqual(surprises, [])
  })
})
