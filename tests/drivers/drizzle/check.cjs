// Drizzle over @neondatabase/serverless, by HTTP (drizzle-orm/neon-http) and by WebSocket (drizzle-orm/neon-serverless).
// tests/drivers/run drizzle runs it.

const { Pool, neon } = require('@neondatabase/serverless')
const { eq, sql } = require('drizzle-orm')
const http = require('drizzle-orm/neon-http')
const websocket = require('drizzle-orm/neon-serverless')
const { boolean, integer, jsonb, numeric, pgTable, text, timestamp } = require('drizzle-orm/pg-core')
const { assert, check, dsn, run, version } = require('../node/checks.cjs')
const { needEnvironment, pointAtGateway } = require('../node/neon.cjs')

pointAtGateway()

const items = pgTable('drizzle_items', {
  id: integer().primaryKey(),
  name: text().notNull(),
  price: numeric(),
  isNew: boolean('is_new'),
  tags: text().array(),
  data: jsonb(),
  made: timestamp({ withTimezone: true }),
})

const first = { id: 1, name: 'naïve "☃"', price: '12.50', isNew: true, tags: ['a', 'b"c'], data: { x: [1, null] }, made: new Date(0) }
const second = { id: 2, name: 'plain', price: null, isNew: null, tags: null, data: null, made: null }

function codeOf(error) {
  return error.code ?? error.cause?.code
}

async function checkOrm(db, kind) {
  await check(`rows there and back, ${kind}`, async () => {
    await db.execute(sql`drop table if exists drizzle_items`)
    await db.execute(sql`create table drizzle_items (id int primary key, name text not null, price numeric, is_new bool,
      tags text[], data jsonb, made timestamptz)`)
    assert.deepEqual(await db.insert(items).values([first, second]).returning({ id: items.id }), [{ id: 1 }, { id: 2 }])
    assert.deepEqual(await db.select().from(items).orderBy(items.id), [first, second])
  })
  await check(`updates, deletes and conflicts, ${kind}`, async () => {
    await db.update(items).set({ name: 'new' }).where(eq(items.id, 2))
    await db.insert(items).values(second).onConflictDoUpdate({ target: items.id, set: { price: '7' } })
    assert.deepEqual(await db.select({ name: items.name, price: items.price }).from(items).where(eq(items.id, 2)), [{ name: 'new', price: '7' }])
    await db.delete(items).where(eq(items.id, 2))
    assert.equal(await db.$count(items), 1)
  })
  await check(`errors are PostgreSQL's, ${kind}`, async () => {
    await assert.rejects(db.insert(items).values(first), (error) => codeOf(error) === '23505')
  })
}

run(async () => {
  needEnvironment()
  console.log(version('drizzle-orm'))

  const overHttp = http.drizzle(neon(dsn))
  await checkOrm(overHttp, 'by HTTP')
  await check('a batch is all or nothing, by HTTP', async () => {
    const [, counted] = await overHttp.batch([overHttp.insert(items).values(second), overHttp.select().from(items)])
    assert.equal(counted.length, 2)
    const clash = overHttp.batch([overHttp.delete(items), overHttp.insert(items).values([first, first])])
    await assert.rejects(clash, (error) => codeOf(error) === '23505')
    assert.equal(await overHttp.$count(items), 2)
  })

  const pool = new Pool({ connectionString: dsn })
  const bySocket = websocket.drizzle(pool)
  await checkOrm(bySocket, 'by WebSocket')
  await check('a transaction that looks at what it did, by WebSocket', async () => {
    await bySocket.transaction(async (tx) => {
      await tx.insert(items).values(second)
      assert.equal(await tx.$count(items), 2)
    }, { isolationLevel: 'serializable' })
    await assert.rejects(bySocket.transaction(async (tx) => {
      await tx.delete(items)
      tx.rollback()
    }))
    assert.equal(await bySocket.$count(items), 2)
    await bySocket.execute(sql`drop table drizzle_items`)
  })
  await pool.end()
})
