# DBD::Pg: the DBI's calls, placeholders, COPY, large objects, notifications, asynchronous queries, cancelling.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use Data::Dumper;

$Data::Dumper::Indent = 0;
$Data::Dumper::Terse = 1;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Useqq = 1;
$| = 1;
my ($host, $port, $tls) = @ENV{qw(PGHOST PGPORT DROPIN_TLS)};

sub masked {
    my $text = shift;
    return $text if !defined $text;
    $text =~ s/\Q$host\E/HOST/g;
    $text =~ s/\b$port\b/PORT/g;
    $text =~ s/large object \d+/large object N/g;
    $text =~ s/ at \S+ line \d+.*//sg;
    return $text;
}

sub say_it {
    my ($what, @values) = @_;
    print "$what: ", join(' ', map { masked(Dumper($_)) } @values), "\n";
}

sub error_of {
    my ($dbh, $call) = @_;
    my @said = eval { $call->(); 1 } ? ('no error') : ();
    return [@said, masked($DBI::errstr), $DBI::state, $DBI::err];
}

my %quiet = (PrintError => 0, RaiseError => 1, PrintWarn => 0);

sub connecting {
    for my $dsn ('', "dbname=$ENV{PGDATABASE};application_name='a b'", "options='-c geqo=off'") {
        my $dbh = DBI->connect("dbi:Pg:$dsn", '', '', {%quiet});
        say_it('connected', $dbh->selectrow_array('show application_name'), $dbh->selectrow_array('show geqo'));
        say_it('facts', map { $dbh->{$_} } qw(pg_db pg_user pg_pass pg_options pg_protocol pg_standard_conforming_strings pg_enable_utf8 pg_default_port));
        say_it('ping', $dbh->ping, $dbh->pg_ping, $dbh->state, $dbh->{pg_pid} > 0, $dbh->{pg_socket} > 0);
        $dbh->disconnect;
        say_it('closed', $dbh->ping);
    }
    my $dbh = DBI->connect("dbi:Pg:$tls", '', '', {%quiet});
    say_it('tls', $dbh->selectrow_array('select version from pg_stat_ssl where pid = pg_backend_pid()'));
    $dbh->disconnect;
    for my $dsn ('port=1', 'dbname=not there', "dbname='not there'", 'nonsense=1', 'host=127.0.0.1;sslmode=disable') {
        say_it('refused', error_of(undef, sub { DBI->connect("dbi:Pg:$dsn", '', '', {%quiet}) }));
    }
    say_it('databases', grep { /dbd_pg/ } DBI->data_sources('Pg'));
}

sub queries {
    my $dbh = shift;
    $dbh->do('create table t (id serial primary key, name text not null, part numeric(8,2), raw bytea)');
    my $sth = $dbh->prepare('insert into t (name, part, raw) values (?, ?, ?) returning id');
    $sth->bind_param(3, undef, {pg_type => PG_BYTEA});
    for my $row (["it's", 1.25, "\0\1\\'\xff"], ["snow \x{2603}", undef, undef], ['back\\slash', -1, '']) {
        say_it('inserted', $sth->execute(@$row), $sth->fetchall_arrayref);
    }
    $sth = $dbh->prepare('select * from t where id >= $1 and name <> $2 order by id');
    $sth->execute(1, 'x');
    say_it('columns', map { $sth->{$_} } qw(NAME NUM_OF_FIELDS NUM_OF_PARAMS NULLABLE PRECISION SCALE TYPE pg_type pg_size));
    say_it('rows', $sth->rows, $sth->fetchall_arrayref({}));
    $sth = $dbh->prepare('select :a::int + :b::int');
    $sth->bind_param(':a', 40);
    $sth->bind_param(':b', 2);
    $sth->execute;
    say_it('named', $sth->fetchrow_array);
    for (1 .. 5) {
        $sth = $dbh->prepare_cached('select ?::int + 1');
        $sth->execute($_);
        say_it('prepared', $sth->fetchrow_array);
        $sth->finish;
    }
    say_it('types', $dbh->selectrow_array(q{select true, '2024-02-29'::date, 12345678901234567890.123::numeric, null, 'NaN'::float8, repeat('x', 10)}));
    say_it('array', $dbh->selectrow_arrayref(q{select array[1, 2], array[['a', 'b"']], '{}'::int[]}));
    say_it('array in', $dbh->selectrow_arrayref('select ?::int[], ?::text[]', {}, [1, 2], ['a', undef]));
    say_it('many', $dbh->do('select 1; select 2'), $dbh->do(''), $dbh->do("update t set name = name || 'x'"));
    say_it('last', $dbh->last_insert_id(undef, 'public', 't', undef));
    say_it('catalogue', scalar @{$dbh->column_info(undef, 'public', 't', '%')->fetchall_arrayref}, $dbh->primary_key(undef, 'public', 't'));
    $dbh->begin_work;
    $dbh->do('declare c scroll cursor for select n from generate_series(1, 100) n');
    say_it('cursor', $dbh->selectcol_arrayref('fetch 3 from c'), $dbh->selectcol_arrayref('fetch backward 1 from c'));
    $dbh->rollback;
}

sub errors {
    my $dbh = shift;
    for my $query ('select 1/0', 'selec 1', "select 'é',\n from", "insert into t (id, name) values (1, 'a')", 'insert into t (name) values (null)', 'select * from nowhere') {
        say_it('error', error_of($dbh, sub { $dbh->do($query) }));
        say_it('field', map { $dbh->pg_error_field($_) } qw(severity state primary detail hint statement_position schema table column constraint))
            if $dbh->can('pg_error_field');
        say_it('prepared', error_of($dbh, sub { my $sth = $dbh->prepare($query, {pg_prepare_now => 1}); $sth->execute }));
    }
    for my $verbosity (0, 1) {
        $dbh->{pg_errorlevel} = $verbosity;
        say_it('verbosity', error_of($dbh, sub { $dbh->do('select nonsense') }));
    }
    $dbh->{pg_errorlevel} = 1;
    my @seen;
    local $SIG{__WARN__} = sub { push @seen, masked($_[0]) };
    $dbh->{PrintWarn} = 1;
    $dbh->do("do \$\$ begin raise notice 'seen'; raise warning 'w' using detail = 'd'; end \$\$");
    $dbh->{PrintWarn} = 0;
    say_it('notices', @seen);
    $dbh->begin_work;
    error_of($dbh, sub { $dbh->do('select 1/0') });
    say_it('aborted', error_of($dbh, sub { $dbh->do('select 1') }), $dbh->ping);
    $dbh->rollback;
    $dbh->begin_work;
    $dbh->pg_savepoint('s');
    error_of($dbh, sub { $dbh->do('select 1/0') });
    $dbh->pg_rollback_to('s');
    say_it('savepoint', $dbh->selectrow_array('select 1'));
    $dbh->commit;
}

sub copying {
    my $dbh = shift;
    $dbh->do('create table c (a int, b text)');
    $dbh->do('copy c from stdin');
    $dbh->pg_putcopydata("$_\trow $_\n") for 1 .. 20_000;
    say_it('copied in', $dbh->pg_putcopyend, $dbh->selectrow_array('select count(*), sum(length(b)) from c'));
    $dbh->do('copy (select * from c order by a limit 3) to stdout');
    my ($row, @rows);
    push @rows, $row while $dbh->pg_getcopydata($row) >= 0;
    say_it('copied out', @rows);
    $dbh->do('copy (select n from generate_series(1, 1000) n) to stdout');
    my $count = 0;
    while ((my $said = $dbh->pg_getcopydata_async($row)) != -1) { $count += $said > 0 }
    say_it('asynchronously', $count);
    $dbh->do('copy c from stdin');
    $dbh->pg_putcopydata("nonsense\n");
    say_it('bad', error_of($dbh, sub { $dbh->pg_putcopyend }), $dbh->ping);
    $dbh->do('copy c from stdin');
    say_it('misuse', error_of($dbh, sub { $dbh->do('select 1') }));
    say_it('ended', error_of($dbh, sub { $dbh->pg_putcopyend }));
    say_it('usable', $dbh->selectrow_array('select 1'));
}

sub until_sleeping {
    my $pid = shift;
    my $other = DBI->connect('dbi:Pg:', '', '', {%quiet});
    my $query = "select count(*) from pg_stat_activity where pid = ? and state = 'active' and wait_event = 'PgSleep'";
    while (!$other->selectrow_array($query, {}, $pid)) { }
    $other->disconnect;
}

sub asynchronous {
    my $dbh = shift;
    $dbh->do('select 42', {pg_async => PG_ASYNC});
    1 while !$dbh->pg_ready;
    say_it('ready', $dbh->pg_result, $dbh->{pg_async_status});
    $dbh->do('select pg_sleep(600)', {pg_async => PG_ASYNC});
    say_it('misuse', error_of($dbh, sub { $dbh->do('select 1') }));
    until_sleeping($dbh->{pg_pid});
    say_it('cancelled', $dbh->pg_cancel);
    $dbh->do('select pg_sleep(600)', {pg_async => PG_ASYNC});
    until_sleeping($dbh->{pg_pid});
    my $sth = $dbh->prepare('select 1', {pg_async => PG_ASYNC + PG_OLDQUERY_CANCEL});
    say_it('replaced', $sth->execute, $sth->pg_result, $sth->fetchrow_array);
    $dbh->do('listen a');
    my $other = DBI->connect('dbi:Pg:', '', '', {%quiet});
    $other->do("notify a, 'payload \x{2603}'");
    my $note;
    1 while !($note = $dbh->pg_notifies);
    say_it('notified', $note->[0], $note->[1] == $other->{pg_pid}, $note->[2]);
    $other->disconnect;
}

sub large_objects {
    my $dbh = shift;
    $dbh->{AutoCommit} = 0;
    my $oid = $dbh->pg_lo_creat($dbh->{pg_INV_WRITE} | $dbh->{pg_INV_READ});
    my $lo = $dbh->pg_lo_open($oid, $dbh->{pg_INV_WRITE} | $dbh->{pg_INV_READ});
    say_it('written', $dbh->pg_lo_write($lo, '0123456789' x 10_000, 100_000), $dbh->pg_lo_tell($lo), $dbh->pg_lo_lseek($lo, 99_995, 0));
    my $buffer;
    say_it('read', $dbh->pg_lo_read($lo, $buffer, 100), $buffer, $dbh->pg_lo_truncate($lo, 10), $dbh->pg_lo_lseek($lo, 0, 2), $dbh->pg_lo_close($lo));
    my $path = "/tmp/dbd_pg-$$";
    say_it('exported', $dbh->pg_lo_export($oid, $path), -s $path);
    my $imported = $dbh->pg_lo_import($path);
    unlink $path;
    say_it('imported', $imported > 0, $dbh->pg_lo_unlink($imported));
    say_it('no file', $dbh->pg_lo_import('/not/there'));
    $dbh->rollback;
    $dbh->{AutoCommit} = 1;
}

sub quoting {
    my $dbh = shift;
    say_it('quoted', map { $dbh->quote($_) } "it's", 'back\\slash', undef, "snow \x{2603}", 1);
    say_it('bytea', $dbh->quote(join('', map { chr } 0 .. 255), {pg_type => PG_BYTEA}));
    say_it('identifier', map { $dbh->quote_identifier($_) } 'a', 'a "b"');
    for my $pair (['LATIN1', "\xe9"], ['SJIS', "\x95\x5c"], ['UTF8', "\xe2\x98\x83"]) {
        my ($encoding, $bytes) = @$pair;
        $dbh->do("set client_encoding = $encoding");
        $dbh->{pg_enable_utf8} = 0;
        say_it($encoding, $dbh->selectrow_array('select ?::text, length(?)', {}, $bytes, $bytes));
        say_it('error', error_of($dbh, sub { $dbh->do("select 1 as \"$bytes\" fro") }));
    }
    $dbh->{pg_enable_utf8} = -1;
}

sub killed {
    my $dbh = shift;
    my $other = DBI->connect('dbi:Pg:', '', '', {%quiet});
    $other->do('select pg_terminate_backend(?, 60000)', {}, $dbh->{pg_pid});
    say_it('killed', error_of($dbh, sub { $dbh->do('select 1') }), $dbh->ping);
}

print "-- connecting\n";
connecting();
my $dbh = DBI->connect('dbi:Pg:', '', '', {%quiet});
for my $part (['queries', \&queries], ['errors', \&errors], ['copying', \&copying], ['asynchronous', \&asynchronous],
    ['large objects', \&large_objects], ['quoting', \&quoting], ['killed', \&killed])
{
    print "-- $part->[0]\n";
    $part->[1]->($dbh);
}
