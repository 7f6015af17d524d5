import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { MAX_CHANGES, type ChangeStore } from '../../src/incidents/record/change-log'
import { FileIncidentStore } from '../../src/incidents/record/file-incident-store'
import type { Incident } from '../../src/incidents/record/incident'
import { MAX_AGE_MS, MAX_INCIDENTS, type IncidentStore } from '../../src/incidents/record/incident-store'
import { RedisIncidentStore } from '../../src/incidents/record/redis-incident-store'
import { needs } from '../support/needs'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

interface Opened {
  readonly store: IncidentStore & ChangeStore
  /** Writes this text to the place where the store keeps the incident of this id. */
  spoil(id: string, text: string): Promise<void>
}

describe('incident stores', () => {
  describe('the folder', () => {
    contract(async () => {
      const folder = join(temporaryFolder(), 'made', 'by the store')
      const store = new FileIncidentStore(folder)
      return { store, spoil: async (id, text) => writeFileSync(join(folder, `${id}.json`), text) }
    })

    it('reports that it cannot be read', async () => {
      const path = join(temporaryFolder(), 'a file')
      writeFileSync(path, '')
      await assert.rejects(new FileIncidentStore(path).list(10), /ENOTDIR/)
    })
  })

  describe('Redis', () => {
    let redis: RunningRedis
    let client: Redis
    before(needs('redis-server'))
    before(async () => {
      redis = await startRedis()
      client = new Redis(redis.url)
    })
    after(() => client?.disconnect())

    contract(async () => {
      await client.flushall()
      const store = new RedisIncidentStore(redis.url, error => assert.fail(String(error)))
      return { store, spoil: async (id, text) => void (await client.set(`myesi:{incidents}:${id}`, text)) }
    })

    it('keeps nothing for longer than the maximum age of incidents', async () => {
      const store = new RedisIncidentStore(redis.url, error => assert.fail(String(error)))
      const stored = incident(Date.now())
      await store.put(stored)
      const left = await client.pttl(`myesi:{incidents}:${stored.id}`)
      assert.ok(left > MAX_AGE_MS - 60_000 && left <= MAX_AGE_MS, `${left}`)
      await store.close()
    })

    it('reports within two seconds that Redis is unavailable, and works again when it is back', async () => {
      const own = await startRedis()
      const errors: unknown[] = []
      const store = new RedisIncidentStore(own.url, error => errors.push(error))
      const stored = incident(Date.now())
      await store.put(stored)
      await own.kill()
      const startedAt = performance.now()
      await assert.rejects(store.list(10))
      await assert.rejects(store.put(stored))
      assert.ok(performance.now() - startedAt < 4_000)
      await own.startAgain()
      await until(() => store.put(stored).then(() => true), { what: 'a write' })
      assert.deepEqual(await store.get(stored.id), stored)
      assert.ok(errors.length > 0)
      await store.close()
      await own.stop()
    })
  })
})

/** The requirements on every store. */
function contract(openStore: () => Promise<Opened>): void {
  let opened: Opened
  let store: IncidentStore & ChangeStore

  beforeEach(async () => {
    opened = await openStore()
    ;({ store } = opened)
  })
  afterEach(async () => store.close())

  it('is empty at first, also when it is queried right after its creation', async () => {
    assert.deepEqual(await store.list(10), [])
    assert.equal(await store.get('mwti7oaz-a7153375'), undefined)
  })

  it('returns incidents unchanged, whatever they contain', async () => {
    const stored = incident(Date.now(), { title: HOSTILE, cause: HOSTILE })
    await store.put(stored)
    assert.deepEqual(await store.get(stored.id), stored)
    assert.deepEqual(await store.list(10), [stored])
  })

  it('keeps only the newest state of an incident', async () => {
    const now = Date.now()
    const stored = incident(now)
    await store.put(stored)
    await store.put({ ...stored, closedAtMs: now + 5_000 })
    assert.deepEqual(
      (await store.list(10)).map(({ closedAtMs }) => closedAtMs),
      [now + 5_000],
    )
  })

  it('lists the newest first, up to the requested number', async () => {
    const now = Date.now()
    for (const age of [3_000, 1_000, 2_000]) await store.put(incident(now - age))
    const listed = await store.list(2)
    assert.deepEqual(
      listed.map(({ openedAtMs }) => openedAtMs),
      [now - 1_000, now - 2_000],
    )
  })

  it('keeps posted changes once each, oldest first, the newest at the maximum', async () => {
    const now = Date.now()
    assert.deepEqual(await store.changes(), [])
    const changes = Array.from({ length: MAX_CHANGES + 3 }, (_, index) => ({
      timeMs: now - index,
      what: `${HOSTILE}${index}`,
    }))
    for (const change of [...changes, { timeMs: now, what: `${HOSTILE}0` }]) await store.addChange(change)
    assert.deepEqual(await store.changes(), changes.slice(0, MAX_CHANGES).toReversed())
    assert.deepEqual(await store.list(10), [], 'no change is taken for an incident')
  })

  it('rejects an invalid id', async () => {
    await store.put(incident(Date.now()))
    for (const id of [
      '',
      '.',
      '..',
      '../../../etc/passwd',
      'a/b',
      'x-00000000.json',
      '*',
      'mwti7oaz-a7153375\n',
      's',
    ]) {
      assert.equal(await store.get(id), undefined, id)
    }
  })

  it('removes the oldest incidents when there are too many', async function () {
    this.timeout(60_000)
    const now = Date.now()
    for (let index = 0; index < MAX_INCIDENTS + 3; index++) await store.put(incident(now + index))
    const listed = await store.list(MAX_INCIDENTS * 2)
    assert.equal(listed.length, MAX_INCIDENTS)
    assert.equal(listed.at(-1)?.openedAtMs, now + 3)
    assert.equal(await store.get(incident(now + 2).id), undefined)
  })

  it('removes incidents that are too old', async () => {
    const now = Date.now()
    const old = incident(now - MAX_AGE_MS - 1_000)
    await store.put(old)
    await store.put(incident(now))
    assert.deepEqual(
      (await store.list(10)).map(({ openedAtMs }) => openedAtMs),
      [now],
    )
  })

  for (const [what, text] of [
    ['is half written', '{"id":"mw'],
    ['is something else', '{"alerts":1}'],
    ['is null', 'null'],
  ] as const) {
    it(`skips an incident that ${what}`, async () => {
      const [good, bad] = [incident(Date.now()), incident(Date.now() + 1)]
      await store.put(good)
      await store.put(bad)
      await opened.spoil(bad.id, text)
      assert.deepEqual(await store.list(10), [good])
      assert.equal(await store.get(bad.id), undefined)
    })
  }
}

const HOSTILE = `<script>"'&\`{{ }} \u0000 \u202e ../../ \ud83d\ude80 \r\n SET x y`

/** The same id for the same time. */
function incident(openedAtMs: number, more: Partial<Incident> = {}): Incident {
  const id = `${openedAtMs.toString(36)}-${(openedAtMs % 0xffff_ffff).toString(16).padStart(8, '0').slice(-8)}`
  const known = { id, cause: 'upstream orders', title: 'GatewayHttp500Spike /orders', openedAtMs, alerts: [] }
  return { ...known, ...more } as Incident
}
