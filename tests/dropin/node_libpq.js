// node's libpq: blocking, and driven by node's event loop.
const PQ = require('libpq')

const { PGHOST: host, PGPORT: port, DROPIN_TLS: tls } = process.env
const say = (what, ...values) => console.log(`${what}:`, values.map((value) => masked(JSON.stringify(value) ?? 'undefined')).join(' '))
const masked = (text) => text.replaceAll(host, 'HOST').replaceAll(port, 'PORT')

function errorOf(call) {
  try {
    call()
  } catch (error) {
    return error.message
  }
  return 'no error'
}

function rows(pq) {
  const all = []
  for (let row = 0; row < pq.ntuples(); row++) {
    all.push(Array.from({ length: pq.nfields() }, (_, n) => (pq.getisnull(row, n) ? null : pq.getvalue(row, n))))
  }
  return all
}

function status(pq) {
  const { sourceLine, sourceFile, sourceFunction, ...fields } = pq.resultErrorFields() ?? {}
  return [pq.resultStatus(), pq.resultErrorMessage(), pq.errorMessage(), pq.resultStatus() === 'PGRES_FATAL_ERROR' ? fields : null]
}

function connect(how) {
  const pq = new PQ()
  pq.connectSync(how)
  return pq
}

const connected = (how) => new Promise((resolve) => {
  const pq = new PQ()
  pq.connect(how, (error) => resolve(error ? error.message : pq))
})

// The results of what was sent, as the event loop brings them.
const results = (pq) => new Promise((resolve, reject) => {
  const all = []
  const onReadable = () => {
    if (!pq.consumeInput()) return reject(new Error(pq.errorMessage()))
    while (!pq.isBusy()) {
      if (!pq.getResult()) {
        pq.stopReader()
        pq.removeListener('readable', onReadable)
        return resolve(all)
      }
      all.push([pq.resultStatus(), rows(pq), pq.resultErrorMessage()])
      if (pq.resultStatus().startsWith('PGRES_COPY')) {
        pq.stopReader()
        pq.removeListener('readable', onReadable)
        return resolve(all)
      }
    }
  }
  pq.on('readable', onReadable)
  pq.startReader()
})

const flushed = (pq) => new Promise((resolve, reject) => {
  const flush = () => {
    const left = pq.flush()
    if (left === -1) reject(new Error(pq.errorMessage()))
    else if (left === 0) resolve()
    else pq.writable(flush)
  }
  flush()
})

function untilSleeping() {
  const other = connect('')
  do other.exec("select 1 from pg_stat_activity where datname = current_database() and state = 'active' and wait_event = 'PgSleep'")
  while (other.ntuples() === 0)
  other.finish()
}

async function main() {
  for (const how of ['', "application_name='it\\'s'", `postgresql:///${process.env.PGDATABASE}?host=${encodeURIComponent(host)}&application_name=a%20b`]) {
    const pq = connect(how)
    pq.exec('show application_name')
    say('connected', rows(pq), pq.serverVersion() > 90000, pq.transactionStatus(), pq.socket() > 0, pq.isNonBlocking())
    pq.finish()
  }
  for (const how of ['port=1', 'nonsense', `${tls} password=wrong`, 'host=127.0.0.1 sslmode=disable']) {
    say('refused', errorOf(() => connect(how)))
    say('refused', await connected(how))
  }

  const pq = await connected(tls)
  pq.exec('select version from pg_stat_ssl where pid = pg_backend_pid()')
  say('tls', rows(pq))
  pq.execParams('select $1::text, $2::int, $3', ["it's ☃", null, 'back\\slash'])
  say('parameters', rows(pq), status(pq))
  pq.prepare('named', 'select $1::int + 1, $2::text', 2)
  say('prepared', status(pq))
  pq.describePrepared('named')
  say('described', pq.nparams(), pq.paramtype(0), pq.paramtype(1), pq.nfields(), pq.fname(0))
  for (let n = 0; n < 5; n++) {
    pq.execPrepared('named', [String(n), 'x'])
    say('executed', rows(pq))
  }
  pq.exec('create table t (id int primary key, name text not null); create table c (a int, b text)')
  pq.exec("insert into t select n, 'name ' || n from generate_series(1, 10) n")
  say('inserted', pq.cmdStatus(), pq.cmdTuples())
  pq.exec('select id as "Id", name, null from t order by id limit 2')
  say('columns', [0, 1, 2].map((n) => [pq.fname(n), pq.ftype(n), pq.ftablecol(n)]), rows(pq), pq.cmdStatus())
  for (const query of ['select 1/0', "select 'é',\n from", 'insert into t values (1)', 'select * from nowhere', '', 'select 1; select 1/0']) {
    pq.exec(query)
    say('error', ...status(pq))
  }
  for (const text of ["it's", 'back\\slash', 'é ☃', 'quo"te']) say('escaped', pq.escapeLiteral(text), pq.escapeIdentifier(text))

  say('nonblocking', pq.setNonBlocking(true), pq.isNonBlocking())
  pq.sendQuery("select 1; select generate_series(1, 3); select 1/0; select 'x'")
  await flushed(pq)
  say('results', await results(pq))
  pq.sendQueryParams('select length($1), $2::text', ['x'.repeat(3000000), null])
  await flushed(pq)
  say('results', await results(pq))
  pq.sendPrepare('other', 'select $1::text', 1)
  say('results', await results(pq))
  pq.sendQueryPrepared('other', ['other'])
  say('results', await results(pq))
  pq.sendQuery("select repeat('x', 100000) from generate_series(1, 50)")
  say('large', (await results(pq))[0][1].reduce((sum, row) => sum + row[0].length, 0))
  pq.sendQuery('select pg_sleep(600)')
  await flushed(pq)
  untilSleeping()
  say('cancelled', pq.cancel(), await results(pq))

  pq.exec('listen a')
  const notified = new Promise((resolve) => {
    pq.on('readable', function readable() {
      pq.consumeInput()
      const note = pq.notifies()
      if (note) {
        pq.stopReader()
        pq.removeListener('readable', readable)
        resolve(note)
      }
    })
    pq.startReader()
  })
  const other = connect('')
  other.exec("notify a, 'payload ☃'")
  const note = await notified
  say('notified', note.relname, note.extra)

  pq.sendQuery('copy c from stdin')
  say('copy', await results(pq))
  let sum = 0
  for (let n = 0; n < 5000; n++) {
    while (pq.putCopyData(Buffer.from(`${n}\trow ${n}\n`)) === 0) await flushed(pq)
    sum += 1
  }
  say('put', sum, pq.putCopyEnd())
  await flushed(pq)
  say('copied in', await results(pq))
  pq.setNonBlocking(false)
  pq.exec('copy (select * from c order by a limit 3) to stdout')
  say('copy', pq.resultStatus())
  for (let line; typeof (line = pq.getCopyData(false)) === 'object';) say('line', line.toString())
  say('copied out', pq.getResult(), pq.resultStatus(), pq.getResult())
  pq.exec('copy c from stdin')
  say('given up', pq.putCopyEnd('own reason'), pq.getResult(), ...status(pq).slice(0, 2), pq.getResult())

  if (pq.enterPipelineMode) {
    say('pipeline', pq.enterPipelineMode(), pq.pipelineStatus())
    pq.sendQueryParams('select $1::int', ['7'])
    pq.sendQueryParams('select 1/0', [])
    pq.sendQueryParams('select 8', [])
    say('sync', pq.pipelineSync(), pq.flush())
    for (let last = ''; last !== 'PGRES_PIPELINE_SYNC';) {
      if (pq.getResult()) {
        last = pq.resultStatus()
        say('result', last, rows(pq), pq.resultErrorMessage(), pq.pipelineStatus())
      } else {
        say('result', null)
      }
    }
    say('left', pq.exitPipelineMode(), pq.pipelineStatus())
  }

  pq.exec('select pg_backend_pid()')
  other.exec(`select pg_terminate_backend(${pq.getvalue(0, 0)}, 60000)`)
  pq.exec('select 1')
  say('killed', ...status(pq).slice(0, 3))
  pq.exec('select 1')
  say('killed', ...status(pq).slice(0, 3))
  pq.finish()
  other.finish()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
