# SPDX-License-Identifier: Apache-2.0
# What httpd checks and sets when it opens connections: the version of the schema, whether max_connections suffices, and
# the settings of the session.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use LearnHub::Test;

expect_log(qr/LH0110: /, qr/LH0111: /, qr/LH0113: /, qr/LH0130: /);

my $files = "$top/build/schema";
my @migrations = sort glob "$top/conf/schema/*.sql";
my ($newest) = $migrations[-1] =~ /(\d+)_/;
$newest += 0;

# ---- a database of its own ----

sub conninfo {
    my ($user, $database) = @_;
    return $ENV{LEARNHUB_OWNER} =~ s/user=\S+ dbname=\S+/user=$user dbname=$database/r;
}

sub handle {
    my ($user, $database) = @_;
    return DBI->connect('dbi:Pg:' . join(';', split ' ', conninfo($user, $database)), '', '',
        { RaiseError => 1, PrintError => 0, AutoInactiveDestroy => 1 });
}

# Applies the migrations in conf/schema of a tree.
sub migrate {
    my ($tree) = @_;
    local @ENV{qw(DATABASE GRANT_TO)} = (conninfo('learnhub_owner', 'learnhub_schema'), 'learnhub');
    system("'$tree/conf/quickstart/migrate' >>'$files/log' 2>&1") == 0 or die "migrate failed, see $files/log\n";
    return;
}

remove_tree($files);
make_path("$files/old/conf/schema");
system 'cp', '-r', (map {"$top/conf/$_"} qw(quickstart learnhub-ctl LearnHubCtl)), "$files/old/conf/";
system 'cp', @migrations[0 .. $#migrations - 1], "$files/old/conf/schema/";
my $admin = handle('postgres', 'postgres');
$admin->do('DROP DATABASE IF EXISTS learnhub_schema');
$admin->do('CREATE DATABASE learnhub_schema OWNER learnhub_owner');

sub server {
    my ($more) = @_;
    return second_httpd('DBDParams "' . conninfo('learnhub', 'learnhub_schema') . qq("\n$more));
}

sub health { my ($server) = @_; return api(GET => '/health', port => $server->port) }

# The lines of the error log with this number.
sub lines { my ($server, $number) = @_; return grep {/$number: /} split /\n/, $server->log_text }

sub comment {
    my ($owner, $text) = @_;
    return $owner->do('COMMENT ON SCHEMA learnhub IS ' . $owner->quote($text));
}

my $versions = "of its schema is %s, this module needs $newest; run: learnhub-ctl migrate";

subtest 'an empty database' => sub {
    my $server = server('');
    my $reply = health($server);
    is_deeply([$reply->status, keys_of($reply->json), @{ $reply->json }{qw(status database)}],
        [503, [qw(database status version)], 'unhealthy', 'outdated'], '/health reports it');
    ok(eventually(sub { lines($server, 'LH0110') == 2 }), 'each of the two processes logs one line');
    my ($line) = lines($server, 'LH0110');
    like($line, qr/\Q@{[sprintf $versions, 'unknown']}\E/, 'the line has the versions and the command');
    $server->stop;
};

subtest 'an older schema' => sub {
    migrate("$files/old");
    my $server = server('');
    my $older = $newest - 1;
    is(health($server)->json->{database}, 'outdated', '/health reports it');
    like((lines($server, 'LH0110'))[0], qr/\Q@{[sprintf $versions, $older]}\E/, 'the log has both versions');
    my $reply = api(GET => '/problems/', port => $server->port);
    is_error($reply, 'detail', 503, 'a read is rejected in the format of its API');
    like($reply->header('Retry-After'), qr/^\d+$/, 'it has Retry-After');
    my %login = (json => { email => 'a@example.com', password => 'x' });
    is_error(api(POST => '/api/auth/login/', port => $server->port, %login), 'flat', 503, 'so is a write');
    ok(eventually(sub { lines($server, 'LH0110') == 2 }), 'each of the two processes logs one line');
    migrate($top);
    ok(eventually(sub { health($server)->status == 200 }), 'the migration makes the server healthy');
    is(api(GET => '/problems/', port => $server->port)->status, 200, 'so are reads');
    is(scalar lines($server, 'LH0110'), 2, 'the line was not repeated');
    $server->stop;
};

# During a rolling upgrade, nodes of the previous version use the schema of the new one.
subtest 'a newer schema' => sub {
    my $owner = handle('learnhub_owner', 'learnhub_schema');
    comment($owner, 'mod_learnhub schema ' . ($newest + 2));
    my $server = server('');
    ok(eventually(sub { health($server)->status == 200 }), 'the server is healthy');
    ok(eventually(sub { lines($server, 'LH0111') == 2 }), 'each of the two processes logs one line');
    like((lines($server, 'LH0111'))[0], qr/version @{[$newest + 2]}, newer than .* for $newest:/, 'with both versions');
    $server->stop;
    comment($owner, "mod_learnhub schema @{[$newest + 2]}, serves modules from $newest");
    $server = server('');
    ok(eventually(sub { health($server)->status == 200 }), 'the server is healthy if the schema serves its version');
    $server->stop;
    $owner->disconnect;
};

subtest 'a newer schema that does not serve this module' => sub {
    my $owner = handle('learnhub_owner', 'learnhub_schema');
    my ($version, $from) = ($newest + 2, $newest + 1);
    comment($owner, "mod_learnhub schema $version, serves modules from $from");
    my $server = server('');
    my $reply = health($server);
    is_deeply([$reply->status, $reply->json->{database}], [503, 'newer'], '/health reports it');
    is_error(api(GET => '/problems/', port => $server->port), 'detail', 503, 'requests are rejected');
    ok(eventually(sub { lines($server, 'LH0130') == 2 }), 'each of the two processes logs one line');
    like((lines($server, 'LH0130'))[0], qr/is $version, which serves modules for $from or newer, this .* for $newest;/,
        'it has the versions');
    comment($owner, "mod_learnhub schema $version; serves modules from $from");
    ok(eventually(sub { health($server)->json->{database} eq 'outdated' }), 'an unknown comment is none');
    comment($owner, "mod_learnhub schema $newest");
    $server->stop;
    $owner->disconnect;
};

subtest 'max_connections' => sub {
    my $server = server("DBDMax 26\nDBDKeep 26");
    ok(eventually(sub { lines($server, 'LH0113') == 2 }), 'each of the two processes logs one line');
    my $numbers = qr/accepts 97 connections, but 2 processes with 25 each open up to 50, and up to 100/;
    like((lines($server, 'LH0113'))[0], $numbers, 'it has the numbers');
    $server->stop;
    $server = server("DBDMax 25\nDBDKeep 25");
    ok(eventually(sub { health($server)->status == 200 }), 'with one connection less for each process');
    is(scalar lines($server, 'LH0113'), 0, 'nothing is logged');
    $server->stop;
};

# A trigger stores the settings of the session that writes.
subtest 'settings' => sub {
    my %expected = (plan_cache_mode => 'force_generic_plan', jit => 'off', TimeZone => 'UTC',
        client_encoding => 'UTF8', search_path => 'learnhub, public', statement_timeout => 4000,
        idle_in_transaction_session_timeout => 10_000, client_connection_check_interval => 500);
    my $names = join ', ', map {"'$_'"} sort keys %expected;
    sql('CREATE TABLE learnhub.test_settings (name text, setting text)');
    sql("CREATE FUNCTION learnhub.test_settings() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
            INSERT INTO learnhub.test_settings SELECT name, setting FROM pg_settings WHERE name IN ($names);
            RETURN NULL; END \$\$");
    sql('CREATE TRIGGER test_settings AFTER INSERT ON learnhub.problems EXECUTE FUNCTION learnhub.test_settings()');
    my $plain = conninfo('learnhub', 'learnhub');
    my $server = second_httpd(qq(DBDParams "$plain"\nLearnHubStatementTimeout 4s));
    my %problem = (title => 'T', description => 'D', difficulty => 'easy');
    my $reply = api_as(signup(), POST => '/problems/', json => {%problem}, port => $server->port);
    is($reply->status, 201, 'a row is written');
    is_deeply({ map { $_->{name} => $_->{setting} } sql('SELECT * FROM learnhub.test_settings') }, \%expected,
        'its session has the settings');
    sql('DROP FUNCTION learnhub.test_settings CASCADE');
    sql('DROP TABLE learnhub.test_settings');
    $server->stop;
};

$admin->do('DROP DATABASE learnhub_schema');
$admin->disconnect;
done_testing();
