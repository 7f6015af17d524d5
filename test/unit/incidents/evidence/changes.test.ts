import assert from 'node:assert/strict'
import { findChanges, nearestChanges } from '../../../../src/incidents/evidence/changes'
import type { PrometheusClient, Series } from '../../../../src/incidents/evidence/prometheus'

/** Seconds; Prometheus is asked in steps of 15 s. */
const RANGE = { startMs: 0, endMs: 300_000, stepMs: 15_000 }

async function changes(found: Readonly<Record<string, Series[]>>): Promise<string[]> {
  const queryRange: PrometheusClient['queryRange'] = async expression =>
    Object.entries(found).find(([metric]) => expression.includes(metric))?.[1] ?? []
  const told = await findChanges({ queryRange } as PrometheusClient, RANGE, AbortSignal.timeout(1_000))
  return told.map(({ timeMs, what }) => `${timeMs / 1_000} ${what}`)
}

function series(labels: Record<string, string>, ...points: [from: number, to: number, value?: number][]): Series {
  const steps = points.flatMap(([from, to, value = 1]) =>
    Array.from({ length: (to - from) / 15 + 1 }, (_, i): [number, number] => [from + 15 * i, value]),
  )
  return { labels, points: steps }
}

describe('what changed before an incident', () => {
  it('tells of configurations that were put in force, and of those that were taken back', async () => {
    const found = {
      gateway_config_info: [
        series({ instance: 'a', sha256: 'aaaaaaaaaa' }, [0, 60], [150, 300]),
        series({ instance: 'a', sha256: 'bbbbbbbbbb' }, [75, 135]),
      ],
    }
    assert.deepEqual(await changes(found), [
      '75 configuration bbbbbbbb came into force on a',
      '150 configuration aaaaaaaa came into force on a',
    ])
  })

  it('does not take a scrape that failed for a change', async () => {
    assert.deepEqual(
      await changes({ gateway_config_info: [series({ instance: 'a', sha256: 'a' }, [0, 60], [150, 300])] }),
      [],
    )
  })

  it('tells of replicas that started together in one line', async () => {
    const up = (instance: string, startedAt: number): Series => series({ instance }, [150, 300, startedAt])
    const found = { process_uptime_seconds: [up('a', 140), up('b', 145), up('c', 150), up('d', 200)] }
    assert.deepEqual(await changes(found), ['140 3 gateways were started', '200 d was started'])
  })

  it('tells of configurations that were refused, once each', async () => {
    const found = {
      last_reload_successful: [
        series({ instance: 'a' }, [0, 60], [75, 150, 0], [165, 300]),
        series({ instance: 'b' }, [0, 300, 0]),
      ],
    }
    assert.deepEqual(await changes(found), ['75 a refused a new configuration'])
  })

  it('tells of certificates that were replaced, and of another master of Redis', async () => {
    const labels = {
      instance: 'a',
      gateway_tls_certificate_role: 'listener',
      gateway_tls_certificate_result: 'success',
    }
    const found = {
      certificate_renewals_total: [series(labels, [0, 60, 0], [75, 300, 1])],
      redis_instance_info: [series({ instance: 'one:6379' }, [0, 90]), series({ instance: 'two:6379' }, [105, 300])],
    }
    assert.deepEqual(await changes(found), [
      '75 a took a new certificate (listener)',
      '105 Redis at two:6379 became the master',
    ])
  })

  it('are the nearest to the first failure where there are many, each once', () => {
    const many = Array.from({ length: 40 }, (_, index) => ({ timeMs: index * 1_000, what: `change ${index % 20}` }))
    const nearest = nearestChanges(many, 10_000)
    assert.deepEqual(
      nearest.map(({ timeMs }) => timeMs / 1_000),
      [5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    )
  })

  it('tells when Redis went away and when it came back', async () => {
    const found = { redis_up: [series({}, [0, 60], [75, 150, 0], [165, 300])] }
    assert.deepEqual(await changes(found), ['75 Redis went away', '165 Redis came back'])
  })
})
