import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { isNear } from '../../../src/access/access'

function near(remoteAddress: string | undefined, headers: Readonly<Record<string, string>> = {}): boolean {
  return isNear({ socket: { remoteAddress }, headers } as unknown as IncomingMessage)
}

describe('a request is near', () => {
  const NEAR =
    '127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.1.1 ' +
    '::ffff:10.1.2.3 fc00::1 fd12:3456::1 fe80::1'
  for (const address of NEAR.split(' ')) {
    it(`from ${address}`, () => assert.ok(near(address)))
  }

  const FAR =
    '8.8.8.8 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.1 192.169.0.1 100.64.0.1 0.0.0.0 :: 2001:db8::1 ' +
    '::ffff:8.8.8.8 fec0::1 ::2 localhost 127.0.0.1.example'
  for (const address of FAR.split(' ')) {
    it(`not from ${address}`, () => assert.ok(!near(address)))
  }

  it('not from a connection that is gone', () => {
    assert.ok(!near(undefined))
    assert.ok(!near(''))
  })

  const FORWARDING =
    'forwarded via x-forwarded-for x-forwarded-proto x-forwarded-port x-forwarded x-real-ip x-original-forwarded-for ' +
    'x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip fastly-client-ip x-envoy-external-address'
  for (const name of FORWARDING.split(' ')) {
    it(`not when ${name} says that somebody else is behind the peer`, () => {
      assert.ok(!near('127.0.0.1', { [name]: '127.0.0.1' }))
    })
  }

  const NEAR_HOSTS =
    'localhost localhost:9464 LOCALHOST 127.0.0.1 127.0.0.1:9464 192.168.1.7:8000 [::1] [::1]:9464 gateway:9464 incidents:9095 my_api'
  for (const host of NEAR_HOSTS.split(' ')) {
    it(`asked by the host ${host}`, () => assert.ok(near('127.0.0.1', { host })))
  }

  const FOREIGN_HOSTS =
    'evil.example evil.example:9464 127.0.0.1.evil.example localhost.evil.example [evil] a@b evil. :80'
  for (const host of FOREIGN_HOSTS.split(' ')) {
    it(`not asked by the host ${host}, which may be another site’s`, () => assert.ok(!near('127.0.0.1', { host })))
  }

  it('asked by the name that the service has, and not by another', () => {
    const request = (host: string) =>
      ({ socket: { remoteAddress: '10.0.0.1' }, headers: { host } }) as unknown as IncomingMessage
    assert.ok(isNear(request('Incidents.Shop.example:9095'), 'incidents.shop.example'))
    assert.ok(!isNear(request('evil.example:9095'), 'incidents.shop.example'))
  })

  it('with the headers of any client', () => {
    assert.ok(
      near('127.0.0.1', { host: 'a', 'user-agent': 'Prometheus/3', 'x-prometheus-scrape-timeout-seconds': '10' }),
    )
  })
})
