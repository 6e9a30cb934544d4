// @neondatabase/serverless over HTTP: queries, batches, types, errors. tests/drivers/run neon runs it.

const { neon, neonConfig, NeonDbError, types } = require('@neondatabase/serverless')
const { assert, check, dsn, run, upTo, version } = require('../node/checks.cjs')

const endpoint = process.env.TENANTRY_HTTP
const apiKey = process.env.TENANTRY_API_KEY

// The one line that a user of the gateway writes.
neonConfig.fetchEndpoint = () => endpoint

async function refused(code, promise) {
  const error = await promise.then(() => assert.fail(`not refused with ${code}`), (error) => error)
  assert.ok(error instanceof NeonDbError, error)
  assert.equal(error.code, code, error)
  return error
}

async function checkQueries(sql, kind) {
  await check(`a query, ${kind}`, async () => {
    assert.deepEqual(await sql`select ${42}::int as answer, ${'naïve ☃'} as word`, [{ answer: 42, word: 'naïve ☃' }])
    assert.deepEqual(await sql.query('select $1::int + $2::int as sum', [40, 2]), [{ sum: 42 }])
  })
  await check(`hundreds of queries at once, ${kind}`, async () => {
    const answers = await Promise.all(upTo(300).map((number) => sql`select ${number}::int as n`))
    assert.deepEqual(answers.map(([row]) => row.n), upTo(300))
  })
}

async function checkTypes(sql) {
  await check('types, there and back', async () => {
    const [row] = await sql`select ${7}::int as a, ${2n ** 60n}::bigint as b, ${1.5}::float8 as c, ${'12345.6789'}::numeric as d,
      ${true}::bool as e, ${null}::text as f, ${new Date(0)}::timestamptz as g, ${{ x: [1, null] }}::jsonb as h,
      ${[1, 2, 3]}::int[] as i, ${['a', 'b"c', null]}::text[] as j, ${Buffer.from([0, 255, 16])}::bytea as k, 'x'::char as l`
    assert.deepEqual({ ...row }, {
      a: 7, b: String(2n ** 60n), c: 1.5, d: '12345.6789', e: true, f: null, g: new Date(0), h: { x: [1, null] },
      i: [1, 2, 3], j: ['a', 'b"c', null], k: Buffer.from([0, 255, 16]), l: 'x',
    })
  })
  await check('rows as arrays, and full results', async () => {
    assert.deepEqual(await sql.query('select 1 as a, 2 as a', [], { arrayMode: true }), [[1, 2]])
    const result = await sql.query("select n, 'x' as t from generate_series(1, 3) n", [], { fullResults: true })
    assert.deepEqual([result.command, result.rowCount, result.rows.length], ['SELECT', 3, 3])
    assert.deepEqual(result.fields.map((field) => [field.name, field.dataTypeID]), [['n', types.builtins.INT4], ['t', types.builtins.TEXT]])
  })
  await check('results without rows', async () => {
    const full = { fullResults: true }
    await sql.query('drop table if exists neon_items')
    assert.equal((await sql.query('create table neon_items (id int primary key, name text)', [], full)).command, 'CREATE')
    const inserted = await sql.query("insert into neon_items select n, 'item' from generate_series(1, 5) n", [], full)
    assert.deepEqual([inserted.command, inserted.rowCount, inserted.rows], ['INSERT', 5, []])
    assert.deepEqual(await sql`update neon_items set name = 'new' where id = ${1} returning id, name`, [{ id: 1, name: 'new' }])
    assert.deepEqual(await sql`select * from neon_items where false`, [])
  })
  await check('a megabyte there and back', async () => {
    const text = 'é'.repeat(500_000)
    assert.equal((await sql`select ${text}::text as t`)[0].t, text)
  })
  await check('composed queries and unsafe parts', async () => {
    const where = sql`id in (${1}, ${2})`
    assert.equal((await sql`select * from ${sql.unsafe('neon_items')} where ${where}`).length, 2)
  })
}

async function checkTransactions(sql) {
  await check('a transaction of several queries', async () => {
    const [inserted, counted] = await sql.transaction([
      sql`insert into neon_items values (100, 'kept') returning id`,
      sql`select count(*)::int as n from neon_items`,
    ])
    assert.deepEqual([inserted, counted], [[{ id: 100 }], [{ n: 6 }]])
  })
  await check('it is undone as a whole', async () => {
    await refused('22012', sql.transaction([sql`insert into neon_items values (101, 'undone')`, sql`select 1 / ${0}::int`]))
    assert.deepEqual(await sql`select count(*)::int as n from neon_items where id = 101`, [{ n: 0 }])
  })
  await check('isolation level, read only and deferrable', async () => {
    const options = { isolationLevel: 'Serializable', readOnly: true, deferrable: true }
    const [[row]] = await sql.transaction([sql`select current_setting('transaction_isolation') as isolation,
      current_setting('transaction_read_only') as read_only, current_setting('transaction_deferrable') as deferrable`], options)
    assert.deepEqual({ ...row }, { isolation: 'serializable', read_only: 'on', deferrable: 'on' })
    await refused('25006', sql.transaction([sql`delete from neon_items`], { readOnly: true }))
  })
  await check('settings of one request are not the next one’s', async () => {
    await sql`set statement_timeout = '77s'`
    const shown = await Promise.all(upTo(30).map(() => sql`show statement_timeout`))
    shown.forEach(([row]) => assert.equal(row.statement_timeout, '0'))
  })
}

async function checkErrors(sql) {
  await check('errors have what PostgreSQL says of them', async () => {
    const error = await refused('42703', sql`select nope`)
    assert.deepEqual([error.severity, error.position], ['ERROR', '8'])
    assert.match(error.message, /column "nope" does not exist/)
    const violation = await refused('23505', sql`insert into neon_items values (1, 'again')`)
    assert.deepEqual([violation.constraint, violation.table], ['neon_items_pkey', 'neon_items'])
    assert.match(violation.detail, /already exists/)
    await refused('42601', sql`selec 1`)
    await refused('22P02', sql`select ${'no number'}::int`)
    assert.deepEqual(await sql`select 1 as n`, [{ n: 1 }])
  })
  await check('several statements in one query are refused', () => refused('42601', sql`select 1; select 2`))
  await check('who cannot prove who it is', async () => {
    const wrong = new URL(dsn)
    wrong.password = 'wrong'
    // The driver takes errors apart only when they come with status 400.
    await assert.rejects(neon(wrong.href)`select 1`, /HTTP status 401.*28P01/)
    await assert.rejects(neon(dsn, { authToken: 'tnt_nobody' })`select 1`, /HTTP status 401/)
  })
}

run(async () => {
  if (!endpoint || !apiKey) throw new Error('TENANTRY_HTTP and TENANTRY_API_KEY must be set')
  console.log(version('@neondatabase/serverless'))
  const sql = neon(dsn)
  await checkQueries(sql, 'by password')
  await checkQueries(neon(dsn, { authToken: apiKey }), 'by API key')
  await checkTypes(sql)
  await checkTransactions(sql)
  await checkErrors(sql)
  await sql`drop table neon_items`
})
