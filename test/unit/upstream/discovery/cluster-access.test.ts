import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readAccess } from '../../../../src/upstream/discovery/kubernetes/cluster-access'
import { temporaryFolder } from '../../../support/temporary-folder'

describe('access to the API server from within a pod', () => {
  function mounted(): string {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'token'), 'token-of-the-pod\n')
    writeFileSync(join(folder, 'ca.crt'), 'authority\n')
    return folder
  }

  it('is at the address that Kubernetes sets, with the token and the authority that it mounts', async () => {
    const credentials = mounted()
    for (const [host, server] of [
      ['10.96.0.1', 'https://10.96.0.1:6443'],
      ['fd00::1', 'https://[fd00::1]:6443'],
    ] as const) {
      const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: '6443' }
      const access = await readAccess({ credentials }, env)
      assert.deepEqual(access, { server, token: 'token-of-the-pod', ca: 'authority' })
    }
  })

  it('is at the server of gateway.yaml if there is one, without the token where there is no TLS', async () => {
    const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1' }
    const credentials = mounted()
    const { server } = await readAccess({ server: 'https://other:6443', credentials }, env)
    assert.equal(server, 'https://other:6443')
    const proxied = await readAccess({ server: 'http://127.0.0.1:8001', credentials }, env)
    assert.deepEqual(proxied, { server: 'http://127.0.0.1:8001', token: undefined, ca: undefined })
  })
})
