# ruby-pg: the blocking calls, those that wait in Ruby, COPY, large objects, pipelines, traces, types.
require 'pg'
require 'tempfile'

$stdout.set_encoding('UTF-8')
HOST, PORT, TLS = ENV.values_at('PGHOST', 'PGPORT', 'DROPIN_TLS')
SLEEPING = "select count(*) from pg_stat_activity where pid = $1 and state = 'active' and wait_event = 'PgSleep'"

def say(what, *values)
  puts "#{what}: #{values.map(&:inspect).join(' ')}"
end

def masked(text)
  text.gsub(HOST, 'HOST').gsub(PORT, 'PORT').gsub(/large object \d+/, 'large object N')
end

def error_of
  yield
  'no error'
rescue PG::Error => error
  said = [error.class.name, masked(error.message)]
  if (result = error.result)
    fields = PG::Result.constants.grep(/^PG_DIAG_/).sort - [:PG_DIAG_SOURCE_LINE]
    said << fields.to_h { |name| [name.to_s[8..], result.error_field(PG::Result.const_get(name))] }.compact
  end
  said
end

def until_sleeping(conn)
  other = PG.connect
  nil while other.exec_params(SLEEPING, [conn.backend_pid]).getvalue(0, 0) == '0'
  other.close
end

def connecting
  uri = "postgresql:///#{ENV['PGDATABASE']}?host=#{HOST.gsub('/', '%2F')}&application_name=a%20b"
  [{}, uri, { application_name: "it's \\" }, "options='-c geqo=off'"].each do |how|
    conn = PG.connect(how)
    say 'connected', conn.exec('show application_name').values, conn.exec('show geqo').values, conn.db, conn.user, conn.options
    say 'facts', conn.status, conn.transaction_status, conn.protocol_version, conn.server_version / 10_000 > 9, conn.pass, conn.hostaddr,
        conn.parameter_status('integer_datetimes'), conn.parameter_status('nonsense'), conn.connection_needs_password, conn.connection_used_password
    say 'conninfo', conn.conninfo_hash.compact.keys.sort & %i[application_name dbname options user fallback_application_name]
    conn.finish
    say 'finished', error_of { conn.exec('select 1') }, conn.finished?
  end
  conn = PG.connect(TLS)
  say 'tls', conn.ssl_in_use?, conn.ssl_attribute('protocol'), conn.ssl_attribute('cipher'), conn.ssl_attribute('key_bits'),
      conn.ssl_attribute('nonsense'), conn.ssl_attributes.keys.sort - ['alpn'], conn.connection_used_password, conn.hostaddr
  conn.finish
  say 'wrong password', error_of { PG.connect("#{TLS} password=wrong") }
  say 'nothing listens', error_of { PG.connect(port: 1) }
  say 'several', error_of { PG.connect(host: '127.0.0.1,127.0.0.1', port: '1,2') }
  say 'no database', error_of { PG.connect(dbname: 'not there') }
  say 'nonsense', error_of { PG.connect('nonsense') }
  say 'ping', PG::Connection.ping, PG::Connection.ping(port: 1)
  say 'parsed', PG::Connection.conninfo_parse('host=a password=b').select { |option| option[:val] }.map { |option| option.values_at(:keyword, :val) }
  say 'defaults', PG::Connection.conndefaults.select { |option| %w[host dbname sslmode connect_timeout].include?(option[:keyword]) }
                                .map { |option| option.values_at(:keyword, :envvar, :compiled, :label, :dispchar, :dispsize) }
  say 'polled', polled(PG::Connection.connect_start(TLS))
end

def polled(conn)
  loop do
    case conn.connect_poll
    when PG::PGRES_POLLING_READING then conn.socket_io.wait_readable(60)
    when PG::PGRES_POLLING_WRITING then conn.socket_io.wait_writable(60)
    when PG::PGRES_POLLING_OK then return conn.exec('select 1').values
    else return conn.error_message
    end
  end
end

def queries(conn)
  say 'parameters', conn.exec_params('select $1::text, $2::int, $3::bytea, $4', ['snow ☃', nil, { value: "\0\\\xff".b, format: 1 }, 'x']).values
  say 'binary', conn.exec_params('select 1::int8, $1::text, null', ['a'], 1).values
  conn.exec('create table t (id int primary key, name text not null)')
  say 'tuples', conn.exec("insert into t select n, 'name ' || n from generate_series(1, 100) n").cmd_tuples
  conn.prepare('named', 'select * from t where id = $1::int or name = $2')
  say 'prepared', conn.exec_prepared('named', [5, 'name 7']).values
  described = conn.describe_prepared('named')
  say 'described', described.nparams, described.paramtype(0), described.fields, described.nfields
  result = conn.exec('select id, name as "A name", 1.5::numeric(5, 2) as n from t order by id limit 3')
  say 'result', result.fields, result.ntuples, result.cmd_status, result.cmd_tuples, result.oid_value, result.res_status(result.result_status), result.result_status
  3.times do |n|
    say 'column', result.fname(n), result.ftype(n), result.fmod(n), result.fsize(n), result.ftablecol(n), result.fformat(n), result.fnumber(%("#{result.fname(n)}"))
  end
  say 'cells', result.getisnull(0, 0), result.getlength(0, 1), result.to_a, result.column_values(1)
  say 'range', (begin; result.getvalue(3, 0); rescue ArgumentError => e; e.message; end)
  conn.type_map_for_results = PG::BasicTypeMapForResults.new(conn)
  say 'types', conn.exec("select 1, 2.5::float8, true, '2024-02-29'::date, array[1, 2], '{\"a\": 1}'::json, 'NaN'::float8, '127.0.0.1'::inet").values
  conn.type_map_for_results = PG::TypeMapAllStrings.new
  conn.send_query("select generate_series(1, 3); select 'b'")
  conn.set_single_row_mode
  while (result = conn.get_result)
    say 'row', result.result_status, result.values
  end
  conn.send_query('select n from generate_series(1, 5000) n')
  conn.set_single_row_mode
  say 'streamed', conn.get_result.stream_each_row.sum { |row| row[0].to_i }
  conn.get_last_result
  conn.send_query('select 1; select 1/0; select 2')
  results = []
  while (result = conn.get_result)
    results << [result.result_status, masked(result.error_message)]
  end
  say 'many', results
  say 'empty', conn.exec('').result_status, conn.exec(' ; ').result_status
  conn.exec('begin; declare c cursor for select 1 as one')
  say 'portal', conn.describe_portal('c').fields
  conn.exec('rollback')
end

def errors(conn)
  [PG::PQERRORS_TERSE, PG::PQERRORS_DEFAULT, PG::PQERRORS_VERBOSE, PG::PQERRORS_SQLSTATE].each do |verbosity|
    conn.set_error_verbosity(verbosity)
    ['select 1/0', "select 'é'\n from nowhere where", 'insert into t values (1, null)', "insert into t values (1, 'a')",
     "do $$ begin raise exception 'own' using detail = 'd', hint = 'h'; end $$"].each do |query|
      say 'error', error_of { conn.exec(query) }, masked(conn.error_message).gsub(/:\d+$/, ':N') if verbosity != PG::PQERRORS_VERBOSE
    end
  end
  conn.set_error_verbosity(PG::PQERRORS_DEFAULT)
  conn.set_error_context_visibility(PG::PQSHOW_CONTEXT_ALWAYS)
  say 'context', error_of { conn.exec("do $$ begin perform 1/0; end $$") }
  result = (conn.exec('select nonsense') rescue $!.result)
  say 'verbose', result.verbose_error_message(PG::PQERRORS_VERBOSE, PG::PQSHOW_CONTEXT_ALWAYS).gsub(/:\d+$/, ':N')
  seen = []
  conn.set_notice_processor { |text| seen << text }
  conn.exec("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
  conn.set_notice_receiver { |notice| seen << notice.error_field(PG::PG_DIAG_SQLSTATE) }
  conn.exec('drop table if exists nowhere')
  say 'notices', seen
  say 'misuse', error_of { conn.send_query('select 1'); conn.sync_exec('select pg_sleep(0)'); conn.exit_pipeline_mode }
end

def copying(conn)
  conn.exec('create table c (a int, b text)')
  result = conn.copy_data('copy c from stdin') { 20_000.times { |n| conn.put_copy_data("#{n}\trow #{n}\n") } }
  say 'copied in', result.cmd_status, conn.exec('select count(*), sum(length(b)) from c').values
  rows = []
  result = conn.copy_data('copy (select * from c order by a limit 3) to stdout') { while (row = conn.get_copy_data) do rows << row end }
  say 'copied out', rows, result.cmd_status
  say 'first', conn.exec('select min(a) from c').values
  say 'bad', error_of { conn.copy_data('copy c from stdin') { conn.put_copy_data("nonsense\n") } }
  say 'given up', (begin; conn.copy_data('copy c from stdin') { raise 'own' }; rescue RuntimeError => e; e.message; end), conn.transaction_status
  say 'left early', error_of { conn.copy_data('copy c to stdout') { conn.get_copy_data } }, conn.transaction_status
  result = conn.exec('copy (select 1) to stdout')
  say 'by hand', result.result_status, result.nfields, result.fformat(0), conn.get_copy_data, conn.get_copy_data, conn.get_last_result.cmd_status
  conn.exec('copy c from stdin')
  say 'put', conn.put_copy_data("7\tseven\n"), conn.put_copy_end('own reason'), error_of { conn.get_last_result }
end

def pipelines(conn)
  return unless conn.respond_to?(:enter_pipeline_mode)

  conn.enter_pipeline_mode
  conn.send_query_params('select $1::text', ['one'])
  conn.send_query_params('select 1/0', [])
  conn.send_query_params('select 2', [])
  conn.pipeline_sync
  conn.send_query_params('select 3', [])
  conn.pipeline_sync
  syncs = 0
  while syncs < 2
    begin
      result = conn.get_result
      say 'result', result&.result_status, result&.values, conn.pipeline_status
      syncs += 1 if result && result.result_status == PG::PGRES_PIPELINE_SYNC
    rescue PG::Error => error
      say 'error', masked(error.message)
    end
  end
  say 'misuse', error_of { conn.send_query('select 1') }
  conn.exit_pipeline_mode
  say 'left', conn.pipeline_status
end

def notifications(conn)
  conn.exec('listen a')
  other = PG.connect
  other.exec("notify a, 'payload ☃'")
  conn.wait_for_notify(60) { |channel, pid, payload| say 'notified', channel, pid == other.backend_pid, payload }
  say 'none', conn.wait_for_notify(0.01), conn.notifies
  other.close
  conn.exec('unlisten *')
end

def cancelling(conn)
  thread = Thread.new { until_sleeping(conn); conn.cancel }
  say 'cancelled', error_of { conn.exec('select pg_sleep(600)') }, thread.value
  conn.send_query('select pg_sleep(600)')
  until_sleeping(conn)
  say 'cancelled', conn.cancel, conn.block(60), error_of { conn.get_last_result }
  say 'usable', conn.exec('select 1').values
end

def large_objects(conn)
  conn.transaction do
    oid = conn.lo_creat
    lo = conn.lo_open(oid, PG::INV_READ | PG::INV_WRITE)
    say 'written', conn.lo_write(lo, '0123456789' * 10_000), conn.lo_tell(lo), conn.lo_lseek(lo, -5, PG::SEEK_END), conn.lo_read(lo, 100)
    say 'truncated', conn.lo_truncate(lo, 10), conn.lo_lseek(lo, 0, PG::SEEK_SET), conn.lo_read(lo, 100), conn.lo_read(lo, 1), conn.lo_close(lo)
    say 'closed', error_of { conn.lo_read(lo, 1) }
    file = Tempfile.new('lo')
    file.chmod(0o666)
    conn.exec('rollback; begin')
    oid = conn.exec("select lo_from_bytea(0, 'exported')").getvalue(0, 0).to_i
    say 'exported', conn.lo_export(oid, file.path), file.read
    imported = conn.lo_import(file.path)
    say 'imported', conn.exec_params('select lo_get($1)', [imported]).values, conn.lo_unlink(imported)
    say 'unlinked', error_of { conn.lo_open(imported) }
  end
rescue PG::Error => error
  say 'transaction', masked(error.message)
end

def escaping(conn)
  ["it's", 'back\\slash', 'é ☃', 'quo"te', ''].each do |text|
    say 'escaped', conn.escape_string(text), conn.escape_literal(text), conn.escape_identifier(text), PG::Connection.escape_string(text)
  end
  bytes = (0..255).map(&:chr).join.b
  say 'bytea', conn.escape_bytea(bytes), PG::Connection.escape_bytea(bytes) == conn.escape_bytea(bytes), PG::Connection.unescape_bytea(conn.escape_bytea(bytes)) == bytes
  say 'invalid', error_of { conn.escape_literal("a\xff") }, error_of { conn.escape_string("a\xc3") }
  say 'password', conn.encrypt_password('secret', 'me', 'md5'), conn.encrypt_password('secret', 'me')[0, 18], PG::Connection.encrypt_password('secret', 'me')
  { 'LATIN1' => 'é', 'SJIS' => '表ソ', 'EUC_JP' => '表', 'UTF8' => '☃' }.each do |encoding, text|
    conn.set_client_encoding(encoding)
    value = text.encode(conn.internal_encoding)
    result = conn.exec_params('select $1::text, length($1)', [value])
    say encoding, result.getvalue(0, 0).encode('UTF-8'), result.getvalue(0, 1), conn.get_client_encoding, conn.escape_literal(value).encode('UTF-8')
    say 'error', (error_of { conn.exec("select 1 as #{conn.escape_identifier(value)} fro") }[1]).encode('UTF-8')
  end
  say 'nonsense', error_of { conn.set_client_encoding('nonsense') }
  conn.set_client_encoding('UTF8')
end

def others(conn)
  file = Tempfile.new('trace')
  conn.trace(file)
  conn.exec('select 1')
  conn.untrace
  say 'traced', File.read(file.path).lines.map { |line| line.split("\t")[1..] }
  conn.setnonblocking(true)
  say 'nonblocking', conn.isnonblocking, conn.nonblocking?
  conn.send_query_params('select length($1)', ['x' * 5_000_000])
  say 'flushed', conn.get_last_result.values
  conn.setnonblocking(false)
  pid = conn.backend_pid
  other = PG.connect
  other.exec("select pg_terminate_backend(#{pid}, 60000)")
  say 'killed', error_of { conn.exec('select 1') }, conn.status
  conn.reset
  say 'reset', conn.exec('select 2').values, conn.backend_pid != pid, conn.status
  conn.sync_reset
  say 'reset', conn.sync_exec('select 3').values
  conn.reset_start
  loop do
    case conn.reset_poll
    when PG::PGRES_POLLING_READING then conn.socket_io.wait_readable(60)
    when PG::PGRES_POLLING_WRITING then conn.socket_io.wait_writable(60)
    else break
    end
  end
  say 'reset', conn.sync_exec('select 4').values
end

connecting
conn = PG.connect
conn.set_notice_processor { |_| }
%i[queries errors copying pipelines notifications cancelling large_objects escaping others].each do |part|
  puts "-- #{part}"
  conn.get_last_result
  send(part, conn)
end
