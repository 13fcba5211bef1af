<?php
// PHP's pgsql, and PDO's where it is there: queries, the asynchronous calls, COPY, large objects, notices, escaping.
error_reporting(E_ALL);
ini_set('display_errors', '0');
[$host, $port, $tls] = [getenv('PGHOST'), getenv('PGPORT'), getenv('DROPIN_TLS')];
$said = [];
set_error_handler(function ($level, $text) use (&$said) { $said[] = masked($text); return true; });

function masked(string $text): string
{
    global $host, $port;
    $text = preg_replace('/result index \d+/', 'result index N', str_replace([$host, $port], ['HOST', 'PORT'], $text));
    return preg_replace('/large object \d+/', 'large object N', $text);
}

function say(string $what, ...$values): void
{
    global $said;
    foreach ([...$said, ...$values] as $n => $value) {
        $values[$n] = json_encode(is_string($value) ? masked($value) : $value, JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
    }
    $said = [];
    echo "$what: ", implode(' ', $values), "\n";
}

function fields($result): array
{
    $fields = [];
    foreach ([PGSQL_DIAG_SEVERITY, PGSQL_DIAG_SQLSTATE, PGSQL_DIAG_MESSAGE_PRIMARY, PGSQL_DIAG_MESSAGE_DETAIL, PGSQL_DIAG_MESSAGE_HINT,
        PGSQL_DIAG_STATEMENT_POSITION, PGSQL_DIAG_CONTEXT, PGSQL_DIAG_TABLE_NAME, PGSQL_DIAG_CONSTRAINT_NAME] as $field) {
        $fields[] = pg_result_error_field($result, $field);
    }
    return $fields;
}

function until_sleeping($conn): void
{
    $other = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
    do {
        $found = pg_query_params($other, "select 1 from pg_stat_activity where pid = $1 and state = 'active' and wait_event = 'PgSleep'", [pg_get_pid($conn)]);
    } while (pg_num_rows($found) == 0);
    pg_close($other);
}

echo "-- connecting\n";
foreach (['', "application_name='it\\'s'", 'postgresql:///' . getenv('PGDATABASE') . '?host=' . rawurlencode($host) . '&application_name=a%20b'] as $how) {
    $conn = pg_connect($how, PGSQL_CONNECT_FORCE_NEW);
    say('connected', pg_fetch_result(pg_query($conn, 'show application_name'), 0, 0), pg_dbname($conn), pg_host($conn), pg_port($conn), pg_options($conn),
        pg_ping($conn), pg_connection_status($conn), pg_transaction_status($conn), pg_client_encoding($conn), pg_parameter_status($conn, 'integer_datetimes'),
        pg_version($conn)['protocol'], pg_tty($conn));
    pg_close($conn);
}
$conn = pg_connect($tls, PGSQL_CONNECT_FORCE_NEW);
say('tls', pg_fetch_row(pg_query($conn, 'select ssl, version, cipher from pg_stat_ssl where pid = pg_backend_pid()')));
pg_close($conn);
foreach (["$tls password=wrong", 'port=1', "dbname='not there'", 'nonsense', 'host=127.0.0.1 sslmode=disable'] as $how) {
    say('refused', pg_connect($how, PGSQL_CONNECT_FORCE_NEW));
}
$conn = pg_connect($tls, PGSQL_CONNECT_FORCE_NEW | PGSQL_CONNECT_ASYNC);
while (($state = pg_connect_poll($conn)) != PGSQL_POLLING_OK && $state != PGSQL_POLLING_FAILED) {
    $read = $state == PGSQL_POLLING_READING ? [pg_socket($conn)] : [];
    $write = $state == PGSQL_POLLING_WRITING ? [pg_socket($conn)] : [];
    $none = [];
    stream_select($read, $write, $none, 60);
}
say('polled', $state == PGSQL_POLLING_OK, pg_connection_status($conn), pg_fetch_all(pg_query($conn, 'select 1')));
pg_close($conn);

echo "-- queries\n";
$conn = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
say('parameters', pg_fetch_row(pg_query_params($conn, 'select $1::text, $2::int, $3, $4::bool', ["it's ☃", null, 'back\\slash', true])));
pg_query($conn, 'create table t (id serial primary key, name text not null, raw bytea)');
say('insert', pg_insert($conn, 't', ['name' => "it's"]), pg_update($conn, 't', ['name' => 'new'], ['id' => 1]), pg_select($conn, 't', ['id' => 1]), pg_meta_data($conn, 't')['name']['type']);
pg_prepare($conn, 'named', 'select $1::int + 1');
for ($n = 0; $n < 5; $n++) {
    say('prepared', pg_fetch_result(pg_execute($conn, 'named', [$n]), 0, 0));
}
say('twice', pg_prepare($conn, 'named', 'select 1'), pg_last_error($conn));
$result = pg_query($conn, "select n, 'name ' || n as \"A name\", null as nothing from generate_series(1, 3) n");
say('result', pg_num_rows($result), pg_num_fields($result), pg_affected_rows($result), pg_result_status($result), pg_result_status($result, PGSQL_STATUS_STRING), pg_fetch_all($result));
for ($n = 0; $n < 3; $n++) {
    say('field', pg_field_name($result, $n), pg_field_type($result, $n), pg_field_size($result, $n), pg_field_prtlen($result, 0, $n), pg_field_is_null($result, 0, $n), pg_field_table($result, $n));
}
say('number', pg_field_num($result, 'n'), pg_field_num($result, '"A name"'), pg_field_num($result, 'A name'), pg_fetch_object($result, 1), pg_fetch_all_columns($result, 0));
say('out of range', pg_fetch_result($result, 7, 0), pg_result_seek($result, 9));
say('many', pg_fetch_all(pg_query($conn, 'select 1; select 2 as b')), pg_query($conn, ''), pg_query($conn, ';'), pg_last_error($conn));
say('long', strlen(pg_fetch_result(pg_query_params($conn, 'select $1::text', [str_repeat('x', 3000000)]), 0, 0)));
say('oid', pg_last_oid($result));

echo "-- errors\n";
foreach ([PGSQL_ERRORS_TERSE, PGSQL_ERRORS_DEFAULT] as $verbosity) {
    say('verbosity', pg_set_error_verbosity($conn, $verbosity));
    foreach (['select 1/0', "select 'é',\n from", "insert into t values (1, 'a')", 'insert into t (name) values (null)', ''] as $query) {
        say('error', pg_query($conn, $query), pg_last_error($conn));
        pg_send_query($conn, $query);
        $result = pg_get_result($conn);
        say('fields', pg_result_status($result), pg_result_error($result), fields($result), pg_get_result($conn));
    }
}
pg_query($conn, "do $$ begin raise notice 'one'; raise warning 'two'; end $$");
say('notices', pg_last_notice($conn, PGSQL_NOTICE_ALL), pg_last_notice($conn, PGSQL_NOTICE_CLEAR));
pg_query($conn, 'begin');
pg_query($conn, 'select 1/0');
say('transaction', pg_transaction_status($conn), pg_query($conn, 'select 1'), pg_query($conn, 'rollback') !== false, pg_transaction_status($conn));

echo "-- asynchronous\n";
say('sent', pg_send_query($conn, 'select 1; select 1/0; select 2'), pg_connection_busy($conn) || true);
while ($result = pg_get_result($conn)) {
    say('result', pg_result_status($result), pg_fetch_all($result), pg_result_error($result));
}
pg_send_query_params($conn, 'select $1::int', [7]);
say('params', pg_fetch_all(pg_get_result($conn)), pg_get_result($conn));
pg_send_prepare($conn, 'other', 'select $1::text');
say('prepared', pg_result_status(pg_get_result($conn)), pg_get_result($conn), pg_send_execute($conn, 'other', ['x']), pg_fetch_all(pg_get_result($conn)));
pg_send_query($conn, 'select pg_sleep(600)');
until_sleeping($conn);
say('cancelled', pg_cancel_query($conn), pg_last_error($conn), pg_fetch_all(pg_query($conn, 'select 1 as usable')));
pg_send_query($conn, "select repeat('x', 1000000)");
do {
    $read = [pg_socket($conn)];
    $write = $none = [];
    stream_select($read, $write, $none, 60);
    pg_consume_input($conn);
} while (pg_connection_busy($conn));
say('consumed', strlen(pg_fetch_result(pg_get_result($conn), 0, 0)), pg_flush($conn));
pg_get_result($conn);
pg_query($conn, 'listen a');
$other = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
pg_query($other, "notify a, 'payload ☃'");
while (!($note = pg_get_notify($conn, PGSQL_ASSOC))) {
    usleep(1000);
}
say('notified', $note['message'], $note['payload'], $note['pid'] == pg_get_pid($other));
pg_close($other);

echo "-- copying\n";
pg_query($conn, 'create table c (a int, b text)');
say('copied in', pg_copy_from($conn, 'c', array_map(fn($n) => "$n\trow $n\n", range(1, 20000))), pg_fetch_row(pg_query($conn, 'select count(*), sum(length(b)) from c')));
say('copied out', count(pg_copy_to($conn, 'c')), array_slice(pg_copy_to($conn, '(select * from c order by a limit 2)', '|', 'N'), 0));
pg_query($conn, 'copy c from stdin');
say('lines', pg_put_line($conn, "-1\tline\n"), pg_put_line($conn, "\\.\n"), pg_end_copy($conn), pg_fetch_row(pg_query($conn, 'select min(a) from c')));
pg_query($conn, 'copy c from stdin');
say('bad', pg_put_line($conn, "nonsense\n"), pg_put_line($conn, "\\.\n"), pg_end_copy($conn), pg_last_error($conn));
say('usable', pg_fetch_row(pg_query($conn, 'select 1')), pg_copy_from($conn, 'nowhere', ["1\n"]));

echo "-- large objects\n";
pg_query($conn, 'begin');
$oid = pg_lo_create($conn);
$lo = pg_lo_open($conn, $oid, 'w');
say('written', pg_lo_write($lo, str_repeat('0123456789', 10000)), pg_lo_tell($lo), pg_lo_seek($lo, -5, PGSQL_SEEK_END), pg_lo_read($lo, 100), pg_lo_truncate($lo, 10), pg_lo_close($lo));
$lo = pg_lo_open($conn, $oid, 'r');
say('read', pg_lo_read($lo, 4), pg_lo_read($lo), pg_lo_read($lo));
$path = sys_get_temp_dir() . '/pgsql-' . getmypid();
say('exported', pg_lo_export($conn, $oid, $path), filesize($path));
$imported = pg_lo_import($conn, $path);
unlink($path);
say('imported', $imported > 0, pg_lo_unlink($conn, $imported), pg_lo_open($conn, $imported, 'r'), pg_last_error($conn));
pg_query($conn, 'rollback');

echo "-- escaping\n";
foreach (["it's", 'back\\slash', 'é ☃', 'quo"te', ''] as $text) {
    say('escaped', pg_escape_string($conn, $text), pg_escape_literal($conn, $text), pg_escape_identifier($conn, $text));
}
$bytes = implode('', array_map('chr', range(0, 255)));
say('bytea', pg_escape_bytea($conn, $bytes), pg_unescape_bytea(pg_escape_bytea($conn, $bytes)) === $bytes, pg_escape_literal($conn, "a\xff"));
foreach (['LATIN1' => "\xe9", 'SJIS' => "\x95\x5c", 'UTF8' => '☃'] as $encoding => $text) {
    say($encoding, pg_set_client_encoding($conn, $encoding), pg_client_encoding($conn), bin2hex(pg_escape_literal($conn, "$text\\'")),
        array_map('bin2hex', pg_fetch_row(pg_query_params($conn, 'select $1::text, length($1)', [$text]))));
    say('error', pg_query($conn, "select 1 as \"$text\" fro"), bin2hex(pg_last_error($conn)));
}
say('nonsense', pg_set_client_encoding($conn, 'nonsense'));
$trace = sys_get_temp_dir() . '/pgsql-trace-' . getmypid();
pg_trace($trace, 'w', $conn);
pg_query($conn, 'select 1');
pg_untrace($conn);
say('traced', array_map(fn($line) => explode("\t", $line, 2)[1], file($trace)));
unlink($trace);

echo "-- killed\n";
$pid = pg_get_pid($conn);
$other = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
pg_query_params($other, 'select pg_terminate_backend($1, 60000)', [$pid]);
say('killed', pg_query($conn, 'select 1'), pg_connection_status($conn), pg_last_error($conn));
say('reset', pg_connection_reset($conn), pg_fetch_row(pg_query($conn, 'select 2')), pg_get_pid($conn) != $pid);
say('ping', pg_ping($conn));

if (extension_loaded('pdo_pgsql')) {
    echo "-- PDO\n";
    $pdo = new PDO("pgsql:dbname=" . getenv('PGDATABASE'), null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $statement = $pdo->prepare('select :a::int + 1, :b::text');
    $statement->execute(['a' => 41, 'b' => "it's"]);
    say('pdo', $statement->fetchAll(PDO::FETCH_NUM), $pdo->quote("it's"), $pdo->getAttribute(PDO::ATTR_CONNECTION_STATUS));
    try {
        $pdo->query('select 1/0');
    } catch (PDOException $error) {
        say('error', $error->getMessage(), $error->errorInfo);
    }
    $pdo->exec('create temp table p (a int, b text)');
    say('copy', $pdo->pgsqlCopyFromArray('p', ["1\ta", "2\tb"]), $pdo->pgsqlCopyToArray('p'));
    $pdo->beginTransaction();
    $oid = $pdo->pgsqlLOBCreate();
    $stream = $pdo->pgsqlLOBOpen($oid, 'w');
    say('large object', fwrite($stream, 'large'), fclose($stream), stream_get_contents($pdo->pgsqlLOBOpen($oid, 'r')));
    $pdo->rollBack();
    $pdo->exec('listen b; notify b');
    say('notified', $pdo->pgsqlGetNotify(PDO::FETCH_NUM, 60000)[0]);
}
