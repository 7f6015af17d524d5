import assert from 'node:assert/strict'
import { acceptsGzip, negotiateFormat } from '../../../otel/sdk/exposition/negotiation'

describe('negotiating the format of a scrape', () => {
  const PROMETHEUS_2 =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
  const PROMETHEUS_3 =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
  const PROMETHEUS_3_PROTOBUF = `application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,${PROMETHEUS_3}`

  for (const [accept, format] of [
    [PROMETHEUS_2, 'openmetrics'],
    [PROMETHEUS_3, 'openmetrics'],
    [PROMETHEUS_3_PROTOBUF, 'openmetrics'],
    [undefined, 'text'],
    ['', 'text'],
    ['*/*', 'text'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text'],
    ['text/plain', 'text'],
    ['application/openmetrics-text', 'openmetrics'],
    ['Application/OpenMetrics-Text; Version="1.0.0"', 'openmetrics'],
    ['application/openmetrics-text, */*', 'openmetrics'],
    ['application/*', 'openmetrics'],
    ['application/openmetrics-text, text/plain', 'text'],
    ['text/plain;q=0.5, application/openmetrics-text;q=0.4', 'text'],
    ['text/plain;q=0.4, application/openmetrics-text;q=0.5', 'openmetrics'],
    ['application/openmetrics-text;q=0, */*', 'text'],
    ['text/plain;q=0, */*;q=0.1', 'openmetrics'],
    ['application/openmetrics-text;version=0.0.1', 'text'],
    ['application/openmetrics-text;version=2.0.0, text/plain;q=0.1', 'text'],
    ['application/json', 'text'],
    ['application/openmetrics-text;q=high', 'openmetrics'],
    [';;,,;q=1', 'text'],
  ] as const) {
    it(`answers ${format} to "${accept}"`, () => {
      assert.equal(negotiateFormat(accept), format)
    })
  }

  for (const [accept, format] of [
    [PROMETHEUS_3_PROTOBUF, 'protobuf'],
    [PROMETHEUS_3, 'openmetrics'],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited', 'protobuf'],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text', 'text'],
    ['application/vnd.google.protobuf;proto=other.Message;encoding=delimited', 'text'],
    ['*/*', 'text'],
    [`text/plain;version=0.0.4, ${PROMETHEUS_3_PROTOBUF}`, 'text'],
    [PROMETHEUS_3_PROTOBUF.replace('q=0.7', 'q=0'), 'openmetrics'],
  ] as const) {
    it(`answers ${format} to "${accept}" if there are native histograms`, () => {
      assert.equal(negotiateFormat(accept, true), format)
    })
  }
})

describe('negotiating gzip', () => {
  for (const [encoding, accepted] of [
    [undefined, false],
    ['', false],
    ['gzip', true],
    ['GZIP;q=0.5, identity', true],
    ['x-gzip', true],
    ['br, *', true],
    ['gzip;q=0', false],
    ['gzip;q=0, *', false],
    ['*;q=0', false],
    ['br, zstd', false],
  ] as const) {
    it(`${accepted ? 'compresses' : 'does not compress'} for "${encoding}"`, () => {
      assert.equal(acceptsGzip(encoding), accepted)
    })
  }
})
