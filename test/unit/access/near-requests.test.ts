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

  it('with the headers of any client', () => {
    assert.ok(
      near('127.0.0.1', { host: 'a', 'user-agent': 'Prometheus/3', 'x-prometheus-scrape-timeout-seconds': '10' }),
    )
  })
})
