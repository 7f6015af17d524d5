import assert from 'node:assert/strict'
import { familyName, labelName } from '../../../otel/sdk/exposition/names'

describe('naming a metric for Prometheus', () => {
  for (const [name, unit, type, expected] of [
    ['http.server.request.duration', 's', 'histogram', 'http_server_request_duration_seconds'],
    ['process.memory.usage', 'By', 'gauge', 'process_memory_usage_bytes'],
    ['process.cpu.time', 's', 'counter', 'process_cpu_time_seconds'],
    ['gateway.requests', '{request}', 'counter', 'gateway_requests'],
    ['gateway.requests.total', '{request}', 'counter', 'gateway_requests'],
    ['gateway.bytes.sent', 'By', 'counter', 'gateway_bytes_sent'],
    ['nodejs.eventloop.utilization', '1', 'gauge', 'nodejs_eventloop_utilization_ratio'],
    ['hit.ratio', '1', 'gauge', 'hit_ratio'],
    ['retries', '1', 'counter', 'retries'],
    ['throughput', 'By/s', 'gauge', 'throughput_bytes_per_second'],
    ['requests.rate', '{request}/s', 'gauge', 'requests_rate_per_second'],
    ['disk.load', '%', 'gauge', 'disk_load_percent'],
    ['queue.wait', 'ms', 'histogram', 'queue_wait_milliseconds'],
    ['widgets', 'crate', 'gauge', 'widgets_crate'],
    ['job:requests', '', 'gauge', 'job_requests'],
    ['a..b--c__d', '', 'gauge', 'a_b_c_d'],
    ['2xx.answers', '', 'counter', '_2xx_answers'],
    ['café.größe', 'By', 'gauge', 'caf_gr_e_bytes'],
    ['数', '', 'gauge', ''],
  ] as const) {
    it(`calls the ${type} ${name} in "${unit}" ${expected === '' ? 'nothing' : expected}`, () => {
      const isGauge = type === 'gauge'
      assert.equal(familyName(name, unit, type, isGauge).name, expected)
    })
  }

  it('keeps the ratio to gauges: an up-down counter of unit 1 counts things', () => {
    assert.equal(familyName('connections', '1', 'gauge', false).name, 'connections')
  })

  it('says a unit only where the name ends with it', () => {
    assert.equal(familyName('a.duration', 's', 'histogram', false).unit, 'seconds')
    assert.equal(familyName('a.rate', 'By/s', 'gauge', true).unit, 'bytes_per_second')
    assert.equal(familyName('hits', '1', 'gauge', true).unit, 'ratio')
    assert.equal(familyName('bytes.sent', 'By', 'counter', false).unit, undefined)
    assert.equal(familyName('requests', '{request}', 'counter', false).unit, undefined)
  })
})

describe('naming a label', () => {
  for (const [attribute, label] of [
    ['http.route', 'http_route'],
    ['already_fine', 'already_fine'],
    ['a..b', 'a_b'],
    ['__name__', '_name_'],
    ['2xx', 'key_2xx'],
    ['le', 'exported_le'],
    ['otel.scope.name', 'exported_otel_scope_name'],
    ['größe', 'gr_e'],
    ['…', '_'],
    ['', '_'],
  ] as const) {
    it(`makes ${label} of "${attribute}"`, () => {
      assert.equal(labelName(attribute), label)
    })
  }
})
