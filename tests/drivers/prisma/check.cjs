// Prisma over @prisma/adapter-neon: by WebSocket (PrismaNeon) and by HTTP (PrismaNeonHttp). tests/drivers/run prisma runs it.

const { PrismaNeon, PrismaNeonHttp } = require('@prisma/adapter-neon')
const { PrismaClient } = require(`${process.env.TENANTRY_PRISMA}/generated`)
const { assert, check, dsn, run, version } = require('../node/checks.cjs')
const { needEnvironment, pointAtGateway } = require('../node/neon.cjs')

pointAtGateway()

const item = { id: 1, name: 'naïve "☃"', price: '12.5', big: 2n ** 60n, tags: ['a', 'b"c'], data: { x: [1, null] }, made: new Date(0) }

const tables = [
  'drop table if exists prisma_notes, prisma_items',
  `create table prisma_items (id int primary key, name text not null unique, price numeric, big bigint, tags text[] not null default '{}',
    data jsonb, made timestamp(3))`,
  'create table prisma_notes (id serial primary key, text text not null, item_id int not null references prisma_items)',
]

async function checkSession(prisma) {
  await check('tables', async () => {
    for (const table of tables) await prisma.$executeRawUnsafe(table)
  })
  await check('rows there and back', async () => {
    await prisma.item.create({ data: item })
    const back = await prisma.item.findUniqueOrThrow({ where: { id: 1 } })
    assert.deepEqual({ ...back, price: String(back.price) }, item)
  })
  await check('what belongs together is written together', async () => {
    const made = await prisma.item.create({
      data: { id: 2, name: 'with notes', notes: { create: [{ text: 'one' }, { text: 'two' }] } },
      include: { notes: { orderBy: { id: 'asc' } } },
    })
    assert.deepEqual(made.notes.map((note) => note.text), ['one', 'two'])
    assert.equal(await prisma.note.count({ where: { item: { name: { startsWith: 'with' } } } }), 2)
  })
  await check('transactions: several queries, and one that is undone', async () => {
    const [changed, counted] = await prisma.$transaction([
      prisma.item.update({ where: { id: 2 }, data: { price: 7 } }),
      prisma.item.count(),
    ], { isolationLevel: 'Serializable' })
    assert.deepEqual([String(changed.price), counted], ['7', 2])
    await assert.rejects(prisma.$transaction(async (tx) => {
      await tx.note.deleteMany()
      throw new Error('undo')
    }), /undo/)
    assert.equal(await prisma.note.count(), 2)
  })
  await check('errors are Prisma’s own for PostgreSQL’s', async () => {
    await assert.rejects(prisma.item.create({ data: { ...item, id: 3 } }), (error) => error.code === 'P2002')
    await assert.rejects(prisma.note.create({ data: { text: 'of nothing', itemId: 99 } }), (error) => error.code === 'P2003')
  })
  await check('raw queries', async () => {
    assert.deepEqual(await prisma.$queryRaw`select ${42}::int as answer`, [{ answer: 42 }])
  })
}

async function checkHttp(prisma) {
  await check('reads and single writes by HTTP', async () => {
    const back = await prisma.item.findUniqueOrThrow({ where: { id: 1 } })
    assert.deepEqual({ ...back, price: String(back.price) }, item)
    await prisma.$executeRaw`update prisma_items set name = 'by HTTP' where id = 2`
    assert.equal((await prisma.item.findUnique({ where: { id: 2 } })).name, 'by HTTP')
  })
}

run(async () => {
  needEnvironment()
  console.log(version('@prisma/adapter-neon'))
  const bySocket = new PrismaClient({ adapter: new PrismaNeon({ connectionString: dsn }) })
  await checkSession(bySocket)
  const byHttp = new PrismaClient({ adapter: new PrismaNeonHttp(dsn, {}) })
  await checkHttp(byHttp)
  await byHttp.$disconnect()
  await bySocket.$executeRawUnsafe('drop table prisma_notes, prisma_items')
  await bySocket.$disconnect()
})
