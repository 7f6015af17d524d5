import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listOffenders, type OffenderList } from '../../../src/operations/offenders'

const LISTS: readonly OffenderList[] = [
  ['orders', 'burst'],
  ['orders', 'daily'],
  ['users', 'daily'],
].map(([route = '', policy = '']) => ({
  route,
  policy,
  httpRoute: `/${route}`,
  limited: 7,
  offenders: [{ client: 'a1b2c3d4e5f6', count: 7, error: 0 }],
}))

describe('/offenders', () => {
  const server = createServer((request, response) => listOffenders(() => LISTS, request, response))
  let url: string

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/offenders`
  })
  after(() => {
    server.close()
    server.closeAllConnections()
  })

  const policies = async (query: string): Promise<unknown> =>
    ((await (await fetch(url + query)).json()) as { policies: unknown }).policies

  it('lists who runs into which limit', async () => {
    assert.deepEqual(await policies(''), LISTS)
  })

  it('lists those of one route, or of one policy', async () => {
    assert.deepEqual(await policies('?route=orders'), LISTS.slice(0, 2))
    assert.deepEqual(await policies('?policy=daily&route=users'), LISTS.slice(2))
    assert.deepEqual(await policies('?route=none'), [])
  })

  it('refuses a parameter that it does not know, as it would change nothing', async () => {
    const response = await fetch(`${url}?rout=orders`)
    assert.equal(response.status, 400)
    assert.partialDeepStrictEqual(await response.json(), { allowed: ['route', 'policy'] })
  })
})
