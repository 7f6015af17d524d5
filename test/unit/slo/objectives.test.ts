import assert from 'node:assert/strict'
import { errorBudget, latencyThresholds, objectivesHash, objectivesOf } from '../../../src/slo/objectives'

const MONTH_MS = 30 * 86_400_000
const slo = { availability: 99.9, latency: { threshold: 300, target: 99 }, window: MONTH_MS }

describe('objectives', () => {
  it('are one for each promise of each route, in the order of the routes', () => {
    const objectives = objectivesOf([
      { template: '/b', slo },
      { template: '/a', slo: { availability: 99.5, window: MONTH_MS } },
      { template: '/none', slo: undefined },
    ])
    assert.deepEqual(
      objectives.map(({ route, slo: kind, target, thresholdS }) => [route, kind, target, thresholdS]),
      [
        ['/a', 'availability', 99.5, undefined],
        ['/b', 'availability', 99.9, undefined],
        ['/b', 'latency', 99, 0.3],
      ],
    )
  })

  it('of routes with the same template are the stricter ones: they share their series', () => {
    const objectives = objectivesOf([
      { template: '/a', slo: { availability: 99, window: MONTH_MS } },
      { template: '/a', slo: { availability: 99.95, window: MONTH_MS } },
    ])
    assert.deepEqual(
      objectives.map(({ target }) => target),
      [99.95],
    )
  })

  it('have an error budget without the noise of binary fractions', () => {
    assert.equal(errorBudget({ target: 99.9 }), 0.001)
    assert.equal(errorBudget({ target: 99.95 }), 0.0005)
  })

  it('name the boundaries that the duration histogram needs', () => {
    assert.deepEqual(
      latencyThresholds(
        objectivesOf([
          { template: '/a', slo },
          { template: '/b', slo },
        ]),
      ),
      [0.3],
    )
  })

  it('have a hash that changes with any of them', () => {
    const one = objectivesHash(objectivesOf([{ template: '/a', slo }]))
    assert.equal(one, objectivesHash(objectivesOf([{ template: '/a', slo: { ...slo } }])))
    assert.notEqual(one, objectivesHash(objectivesOf([{ template: '/a', slo: { ...slo, availability: 99.8 } }])))
  })
})
