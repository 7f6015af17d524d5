import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sendWith } from '../../../../src/incidents/backends/backend'
import { readHttpConfig } from '../../../../src/incidents/backends/http-config'
import { jaeger, tempo } from '../../../../src/incidents/evidence/trace-sources'
import { startUpstream } from '../../../support/start-upstream'
import { temporaryFolder } from '../../../support/temporary-folder'

describe('credentials of a backend', () => {
  const folder = temporaryFolder()
  let seen: NodeJS.Dict<string | string[]>[] = []
  let url: string

  before(async () => {
    const backend = await startUpstream((request, response) => {
      seen.push(request.headers)
      if (request.url?.startsWith('/moved') === true) return void response.writeHead(302, { location: '/' }).end()
      response.end('{"result":{},"trace":{}}')
    })
    url = backend.url
  })

  beforeEach(() => {
    seen = []
  })

  function written(text: string, name = 'http.yml'): string {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  function sendOf(text: string): ReturnType<typeof sendWith> {
    const { config, problems } = readHttpConfig(written(text))
    assert.deepEqual(problems, [])
    return sendWith(config)
  }

  let signal: AbortSignal
  beforeEach(() => {
    signal = AbortSignal.timeout(10_000)
  })

  it('send a bearer token from its file, also the one that replaces it', async () => {
    written('first\n', 'token')
    const send = sendOf('authorization: { credentials_file: token }')
    await send(url, { signal })
    written('second', 'token')
    await send(url, { signal })
    assert.deepEqual(
      seen.map(({ authorization }) => authorization),
      ['Bearer first', 'Bearer second'],
    )
  })

  it('send a user with a password, and the header that names a tenant', async () => {
    const send = sendOf(
      'basic_auth: { username: me, password: secret }\nhttp_headers: { X-Scope-OrgID: { values: [shop] } }',
    )
    await send(url, { signal })
    assert.equal(seen[0]?.['authorization'], `Basic ${Buffer.from('me:secret').toString('base64')}`)
    assert.equal(seen[0]?.['x-scope-orgid'], 'shop')
  })

  it('reach Jaeger and Tempo', async () => {
    const send = sendOf('http_headers: { X-Scope-OrgID: { values: [shop] } }')
    await jaeger(`${url}/jaeger`, send).fetch('a'.repeat(32), signal)
    await tempo(`${url}/tempo`, send).fetch('b'.repeat(32), signal)
    assert.deepEqual(
      seen.map(headers => headers['x-scope-orgid']),
      ['shop', 'shop'],
    )
  })

  it('do not follow a redirect to another address', async () => {
    const send = sendOf('authorization: { credentials: secret }')
    await assert.rejects(send(`${url}/moved`, { signal }))
    assert.equal(seen.length, 1)
  })

  const MISTAKES = [
    ['autorization: { credentials: x }', /autorization/],
    ['authorization: { type: Bearer }', /needs either credentials or credentials_file/],
    ['authorization: { credentials: a }\nbasic_auth: { username: b }', /both authorization and basic_auth/],
    ['basic_auth: { username: a, password: b, password_file: c }', /both password and password_file/],
    ['authorization: { credentials_file: absent }', /cannot be read: ENOENT.*absent/],
    ['tls_config: { cert_file: a }', /cert_file and key_file together/],
    ['tls_config: { ca_file: absent.pem }', /cannot be read: ENOENT.*absent\.pem/],
    ['tls_config: { cert_file: http.yml, key_file: http.yml }', /certificate or key cannot be used/],
    ['tls_config: { insecure_skip_verify: true }', /insecure_skip_verify/],
  ] as const
  for (const [text, problem] of MISTAKES) {
    it(`refuse ${text.replace('\n', ', ')}`, () => {
      const { config, problems } = readHttpConfig(written(text))
      assert.equal(config, undefined)
      assert.match(problems.map(one => `${one.where} ${one.problem}`).join('\n'), problem)
    })
  }
})
