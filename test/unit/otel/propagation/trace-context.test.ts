import assert from 'node:assert/strict'
import { defaultTextMapGetter, defaultTextMapSetter, ROOT_CONTEXT, trace, type SpanContext } from '@opentelemetry/api'
import { TraceContextPropagator } from '../../../../otel/sdk/propagation/trace-context'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'
const PARENT = `00-${TRACE_ID}-${SPAN_ID}-00`
const propagator = new TraceContextPropagator()

/** What is read of these fields, as Node hands them over: several of one name joined with `, `. */
function read(fields: Readonly<Record<string, string | string[]>>): SpanContext | undefined {
  return trace.getSpanContext(propagator.extract(ROOT_CONTEXT, fields, defaultTextMapGetter))
}

/** The tracestate that goes on; undefined where it is dropped. */
function stateOf(...fields: readonly string[]): string | undefined {
  const span = read({ traceparent: PARENT, tracestate: fields.join(', ') })
  assert.equal(span?.traceId, TRACE_ID, 'an invalid tracestate never costs the trace')
  return span.traceState?.serialize()
}

/** What a span writes. */
function written(span: SpanContext): Record<string, string> {
  const carrier: Record<string, string> = {}
  propagator.inject(trace.setSpanContext(ROOT_CONTEXT, span), carrier, defaultTextMapSetter)
  return carrier
}

/** The cases of the public suite for W3C Trace Context, level 2, by its descriptions, and those around their edges. */
describe('W3C Trace Context', () => {
  describe('traceparent', () => {
    it('is read', () => {
      assert.deepEqual(read({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` }), {
        traceId: TRACE_ID,
        spanId: SPAN_ID,
        traceFlags: 1,
        isRemote: true,
      })
    })

    for (const [what, traceparent] of [
      ['comes twice, joined', `${PARENT}, 00-${'1'.repeat(32)}-${SPAN_ID}-00`],
      ['has a character more than version 00 allows', `${PARENT}.`],
      ['has a field more than version 00 allows', `${PARENT}-what-the-future-will-be-like`],
      ['is of a later version, and longer without a dash', `cc${PARENT.slice(2)}.more`],
      ['has version ff', `ff${PARENT.slice(2)}`],
      ['has a version that begins with no hexadecimal digit', `.0${PARENT.slice(2)}`],
      ['has a version that ends with none', `0.${PARENT.slice(2)}`],
      ['has a version of three digits', `0${PARENT}`],
      ['has a version of four digits', `00${PARENT}`],
      ['has a version of one digit', PARENT.slice(1)],
      ['has a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN_ID}-00`],
      ['has a trace id that begins with no hexadecimal digit', `00-.${TRACE_ID.slice(1)}-${SPAN_ID}-00`],
      ['has a trace id that ends with none', `00-${TRACE_ID.slice(1)}.-${SPAN_ID}-00`],
      ['has a trace id in capitals', `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-00`],
      ['has a trace id that is too long', `00-${TRACE_ID}3-${SPAN_ID}-00`],
      ['has a trace id that is too short', `00-${TRACE_ID.slice(1)}-${SPAN_ID}-00`],
      ['has a parent id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-00`],
      ['has a parent id that begins with no hexadecimal digit', `00-${TRACE_ID}-.${SPAN_ID.slice(1)}-00`],
      ['has a parent id that ends with none', `00-${TRACE_ID}-${SPAN_ID.slice(1)}.-00`],
      ['has a parent id that is too long', `00-${TRACE_ID}-${SPAN_ID}7-00`],
      ['has a parent id that is too short', `00-${TRACE_ID}-${SPAN_ID.slice(1)}-00`],
      ['has flags that begin with no hexadecimal digit', `${PARENT.slice(0, -2)}.0`],
      ['has flags that end with none', `${PARENT.slice(0, -2)}0.`],
      ['has flags that are too long', `${PARENT}1`],
      ['has flags that are too short', PARENT.slice(0, -1)],
      ['is empty', ''],
    ] as const) {
      it(`begins no trace when it ${what}, and takes its tracestate with it`, () => {
        assert.equal(read({ traceparent, tracestate: 'foo=1' }), undefined)
      })
    }

    it('begins no trace when it comes twice, as a list', () => {
      assert.equal(read({ traceparent: [PARENT, PARENT] }), undefined)
    })

    it('is what a trace needs: a tracestate alone is none', () => {
      assert.equal(read({ tracestate: 'foo=1' }), undefined)
    })

    for (const later of [`cc${PARENT.slice(2)}`, `cc${PARENT.slice(2)}-what-the-future-will-be-like`]) {
      it(`of a later version is read as far as it is known: ${later.slice(54)}`, () => {
        assert.equal(read({ traceparent: later })?.traceId, TRACE_ID)
      })
    }

    for (const [came, goes] of [
      ['00', '00'],
      ['01', '01'],
      ['02', '02'],
      ['03', '03'],
      ['ff', '03'],
      ['fc', '00'],
    ] as const) {
      it(`with flags ${came} goes on with ${goes}: what is not known is not sent on`, () => {
        const span = read({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-${came}` })!
        assert.deepEqual(written(span), { traceparent: `00-${TRACE_ID}-${SPAN_ID}-${goes}` })
      })
    }

    it('is not written for a span that is none', () => {
      assert.deepEqual(written({ traceId: '0'.repeat(32), spanId: SPAN_ID, traceFlags: 1 }), {})
    })
  })

  describe('tracestate', () => {
    const members = (count: number): string[] => Array.from({ length: count }, (_, index) => `bar${index}=${index}`)
    const value = [...Array(95).keys()]
      .map(index => String.fromCharCode(0x20 + index))
      .filter(character => character !== ',' && character !== '=')
      .join('')
    const key = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/'

    for (const [what, fields, goes] of [
      ['goes on', ['foo=1,bar=2'], 'foo=1,bar=2'],
      [
        'in several fields is one, in their order',
        ['foo=1,bar=2', 'rojo=1,congo=2', 'baz=3'],
        'foo=1,bar=2,rojo=1,congo=2,baz=3',
      ],
      ['that is empty is none', [''], undefined],
      ['that is empty beside another is not there', ['foo=1', ''], 'foo=1'],
      ['that is empty before another is not there', ['', 'foo=1'], 'foo=1'],
      ['may have empty members', ['foo=1,,bar=2,'], 'foo=1,bar=2'],
      ['may have blanks around its members', [' foo=1 \t , \t bar=2,\t \tbaz=3\t '], 'foo=1,bar=2,baz=3'],
      ['may have every character that is allowed', [`${key}=${value}`], `${key}=${value}`],
      ['may have a tenant and a system', [`${key}@a-z0-9_-*/=${value}`], `${key}@a-z0-9_-*/=${value}`],
      ['may have a key that begins with a digit', ['0foo=1,1a@b=2'], '0foo=1,1a@b=2'],
      ['with the same member twice is dropped', ['foo=1,foo=1'], undefined],
      ['with the same key twice is dropped', ['foo=1', 'foo=2'], undefined],
      ['with a blank in a key is dropped', ['foo =1,bar=2'], undefined],
      ['with capitals in a key is dropped', ['FOO=1,bar=2'], undefined],
      ['with a dot in a key is dropped', ['foo.bar=1,bar=2'], undefined],
      ['with a tenant and no system is dropped', ['foo@=1,bar=2'], undefined],
      ['with a system and no tenant is dropped', ['@foo=1,bar=2'], undefined],
      ['with two @ side by side is dropped', ['foo@@bar=1,bar=2'], undefined],
      ['with two @ is dropped', ['foo@bar@baz=1,bar=2'], undefined],
      ['may have 32 members', members(32), members(32).join(',')],
      ['with 33 members is dropped', members(33), undefined],
      ['may have a key of 256 characters', ['foo=1', `${'z'.repeat(256)}=1`], `foo=1,${'z'.repeat(256)}=1`],
      ['with a key of 257 is dropped', ['foo=1', `${'z'.repeat(257)}=1`], undefined],
      [
        'may have a tenant of 241 characters and a system of 14',
        ['foo=1', `${'t'.repeat(241)}@${'v'.repeat(14)}=1`],
        `foo=1,${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
      ],
      ['with a tenant of 242 is dropped', ['foo=1', `${'t'.repeat(242)}@v=1`], undefined],
      ['with a system of 15 is dropped', ['foo=1', `t@${'v'.repeat(15)}=1`], undefined],
      ['may have a value of 256 characters', [`foo=${'v'.repeat(256)}`], `foo=${'v'.repeat(256)}`],
      ['with a value of 257 is dropped', [`foo=${'v'.repeat(257)}`], undefined],
      ['with = in a value is dropped', ['foo=bar=baz'], undefined],
      ['with an empty value is dropped', ['foo=,bar=3'], undefined],
      ['with a member that is no pair is dropped', ['foo,bar=3'], undefined],
      ['with a character of another script is dropped', ['foo=\u00e9'], undefined],
    ] as const) {
      it(what, () => assert.equal(stateOf(...fields), goes))
    }

    it('puts in front what is set, and lets the oldest go where there is no room', () => {
      const { traceState } = read({ traceparent: PARENT, tracestate: members(32).join(',') })!
      const changed = traceState!.set('ot', 'th:8').set('bar1', 'new')
      assert.deepEqual(changed.serialize().split(',').slice(0, 3), ['bar1=new', 'ot=th:8', 'bar0=0'])
      assert.equal(changed.serialize().split(',').length, 32)
      assert.equal(changed.get('bar31'), undefined)
      assert.equal(changed.unset('ot').get('ot'), undefined)
      assert.equal(traceState!.set('Not Valid', '1'), traceState)
      assert.equal(traceState!.get('bar31'), '31')
    })
  })
})
