// What the Node.js checks share: a line for each check, and an end at the first that fails.

const assert = require('node:assert/strict')

const dsn = process.env.TENANTRY_DSN

// What is going to happen happens within this many milliseconds, or not at all.
const patience = 60_000

async function check(what, holds) {
  try {
    await holds()
  } catch (error) {
    console.error(error)
    console.error(`FAILED: ${what}`)
    process.exit(1)
  }
  console.log(`ok: ${what}`)
}

async function refused(code, promise) {
  const error = await promise.then(
    () => assert.fail(`not refused with ${code}`),
    (error) => error,
  )
  assert.equal(error.code, code, error)
  return error
}

async function eventually(what, holds) {
  const deadline = Date.now() + patience
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const upTo = (count) => Array.from({ length: count }, (_, index) => index)

function version(name) {
  const entry = require.resolve(name)
  const home = entry.slice(0, entry.indexOf(`node_modules/${name}`)) + `node_modules/${name}`
  return `${name} ${JSON.parse(require('node:fs').readFileSync(`${home}/package.json`)).version}, Node.js ${process.version}`
}

// A connection that ends beneath us must not hang the test.
function run(main) {
  const timer = setTimeout(() => {
    console.error('FAILED: the checks do not come to their end')
    process.exit(1)
  }, 3 * patience)
  main().then(
    () => clearTimeout(timer),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
}

module.exports = { assert, check, dsn, eventually, patience, refused, run, upTo, version }
