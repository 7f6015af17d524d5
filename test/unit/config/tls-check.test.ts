import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { FILES_ON_DISK } from '../../../src/config/config-files'
import { checkTlsFiles } from '../../../src/config/tls-check'
import { createAuthority } from '../../support/certificates'
import { configOf } from '../../support/start-pipeline'
import { parseGatewayFile } from '../../../src/config/gateway-file'

describe('the file of a private key', () => {
  const { certFile: cert, keyFile: key } = createAuthority('Test Authority').issue('localhost')
  const warned = (mode: number): string[] => {
    chmodSync(key, mode)
    return checkTlsFiles({ cert, key }, FILES_ON_DISK).map(
      ({ key: at, mistake, severity }) => `${severity} ${at} ${mistake.problem}`,
    )
  }

  it('is worth a warning where others than its owner can read or write it', () => {
    if (process.platform === 'win32') return // where the mode says nothing
    const everyUser = 'warning key can be read or written by every user of this machine'
    for (const mode of [0o777, 0o604, 0o644, 0o602]) assert.deepEqual(warned(mode), [everyUser], mode.toString(8))
    for (const mode of [0o640, 0o660])
      assert.deepEqual(warned(mode), ['warning key can be read or written by its group'])
    for (const mode of [0o600, 0o400, 0o700]) assert.deepEqual(warned(mode), [])
  })

  it('is named with its line, for the listener and for upstreams, and the gateway starts all the same', () => {
    if (process.platform === 'win32') return
    chmodSync(key, 0o644)
    const text = `
entrypoint:
  tls: { cert: ${cert}, key: ${key} }
upstreams:
  a:
    targets: ["https://127.0.0.1:1"]
    tls: { cert: ${cert}, key: ${key} }
routes: [{ name: a, match: { path: /a }, upstream: a }]
`
    const { config, problems } = parseGatewayFile(text, 'gateway.yaml', {})
    assert.ok(config)
    assert.deepEqual(
      problems.map(({ where, severity }) => [where.replace(/:(\d+):\d+/, ':$1'), severity]),
      [
        ['gateway.yaml:3 entrypoint.tls.key', 'warning'],
        ['gateway.yaml:7 upstreams.a.tls.key', 'warning'],
      ],
    )
  })

  it('comes with suites for TLS 1.2 that this OpenSSL has', () => {
    chmodSync(key, 0o600)
    const ciphersOf = (ciphers: readonly string[]): unknown =>
      configOf({
        entrypoint: { tls: { cert, key, ciphers } },
        upstreams: { a: { targets: ['http://127.0.0.1:1'] } },
        routes: [{ name: 'a', match: { path: '/a' }, upstream: 'a' }],
      }).entrypoint.tls?.ciphers
    assert.deepEqual(ciphersOf(['ecdhe-rsa-aes128-gcm-sha256']), ['ECDHE-RSA-AES128-GCM-SHA256'])
    assert.throws(
      () => ciphersOf(['ECDHE-RSA-AES128-GCM-SHA25']),
      /is not a TLS 1\.2 cipher suite.*\n?.*ECDHE-RSA-AES128-GCM-SHA256/s,
    )
    assert.throws(() => ciphersOf(['TLS_AES_128_GCM_SHA256']), /is not a TLS 1\.2 cipher suite/)
    assert.throws(() => ciphersOf(['a:b']), /is not a TLS 1\.2 cipher suite/)
  })
})
