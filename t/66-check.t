# SPDX-License-Identifier: Apache-2.0
# learnhub-ctl: check with each kind of fault, role, psql, and where it finds the database.
use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use LearnHub::Mail;
use LearnHub::Server;
use LearnHub::Test;
use LearnHub::Upgrade;

my $files = "$top/build/check";
remove_tree($files);
make_path($files);
my ($psql) = map {"$_/psql"} $LearnHub::Cluster::bin;
delete @ENV{qw(DATABASE GRANT_TO PGHOST PGDATABASE PGSERVICE)};

# Runs learnhub-ctl; returns its exit status and its output.
sub ctl {
    my (@arguments) = @_;
    local $ENV{PSQL} = $ENV{PSQL} || $psql;
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec "$top/conf/learnhub-ctl", @arguments;
    }
    my $text = join '', <$pipe>;
    close $pipe;
    return ($? >> 8, $text);
}

sub configuration { my ($directives) = @_; return LearnHub::Server->configuration($directives)->{files} . '.conf' }

# Checks a configuration of httpd; returns the exit status and the lines by part.
sub check {
    my ($directives, @parts) = @_;
    my ($status, $text) = ctl('-f', configuration($directives), 'check', @parts);
    die $text if $text =~ /^Use of uninitialized/m;
    my %lines;
    for my $line (split /\n/, $text) {
        push @{ $lines{$1} }, $line if $line =~ /^(?:OK|WARN|FAIL) +(\w+)/;
    }
    return ($status, { map { $_ => join "\n", @{ $lines{$_} } } keys %lines }, $text);
}

sub secret_file {
    my ($name, $mode, $text) = @_;
    open my $out, '>', "$files/$name" or die "$name: $!";
    print $out "$text\n";
    close $out;
    chmod $mode, "$files/$name";
    return "$files/$name";
}

create_database('learnhub_check');
my $params = conninfo_of('learnhub', 'learnhub_check');
my $database = qq(DBDParams "$params");
my $owner = database_handle('learnhub_check');

subtest 'an installation step by step' => sub {
    my ($status, $line) = check($database);
    is($status, 1, 'an empty database fails');
    like($line->{schema}, qr/^FAIL .* there is none: learnhub-ctl migrate$/, 'and the line says what to do');
    my $conf = configuration($database);
    ($status, my $text) = ctl('-f', $conf, 'migrate');
    is($status, 0, 'migrate finds the database and the roles in the configuration') || diag($text);
    like($text, qr/^learnhub: applying 0001_accounts\n.*learnhub: applying \d+_\w+\n\z/s, 'it reports each migration');
    is_deeply([ctl('-f', $conf, 'migrate')], [0, ''], 'the second time there is nothing to do');
    ($status, $line, $text) = check($database . "\nLearnHubJWTSecret file:" . secret_file('key', 0600, 'k' x 40));
    is($status, 0, 'the installation is good') || diag($text);
    my %expected = (configuration => 'OK', modules => 'OK', database => 'OK', rights => 'OK', schema => 'OK',
        connections => 'OK', clocks => 'OK', jobs => 'OK', secrets => 'WARN', spool => 'OK');
    is_deeply({ map { $_ => $line->{$_} =~ /^(\w+)/ } keys %$line }, \%expected, 'every part has a line');
    like($line->{secrets}, qr/LearnHubJWTSecret is in the configuration itself: move it/, 'with the warning of t/conf');
    is_deeply([sort keys %{ (check($database, 'schema', 'rights'))[1] }], [qw(rights schema)], 'parts can be selected');
};

subtest 'configuration and modules' => sub {
    my ($status, $line) = check("$database\nLearnHubCache many");
    is($status, 1, 'an invalid directive fails');
    like($line->{configuration}, qr/^FAIL .*LearnHubCache/, 'with the message of httpd');
    ($status, $line) = check("$database\nLearnHub Off");
    is($status, 0, 'a server without LearnHub On does not fail');
    like($line->{modules}, qr/^WARN .* no server has LearnHub On/, 'but is reported');
    ($status, $line) = check("$database\nLearnHub Off\nListen 127.0.0.1:@{[LearnHub::Server->free_port]}\n"
            . "<VirtualHost *>\nLearnHub On\nDBDMax 3\n</VirtualHost>");
    like($line->{database}, qr/^OK/, 'a virtual host inherits the database');
    like($line->{connections}, qr/^OK .* 2 child processes with 3 each open up to 12 /, 'and has its own DBDMax');
};

subtest 'the database' => sub {
    my ($status, $line) = check(qq(DBDParams "@{[conninfo_of('learnhub', 'no_such_database')]}"));
    is($status, 1, 'a database that does not exist fails');
    like($line->{database}, qr/^FAIL .*"no_such_database" does not exist.*: check DBDParams/, 'with the message');
    ok(!$line->{schema}, 'its schema is not checked');
    ($status, $line) = check(qq(DBDParams "@{[conninfo_of('learnhub_owner', 'learnhub_check')]}"));
    like($line->{rights}, qr/^WARN .*it owns the schema/, 'an owner has too many rights');
    $owner->do('REVOKE INSERT ON learnhub.problems, learnhub.users FROM learnhub');
    ($status, $line) = check($database);
    is($status, 1, 'missing rights fail');
    like($line->{rights}, qr/^FAIL .*problems users: learnhub-ctl migrate -g learnhub$/, 'with the tables');
    $owner->do('REVOKE USAGE ON SCHEMA learnhub FROM learnhub');
    like((check($database))[1]{rights}, qr/^FAIL .*may not use the schema/, 'so do those of the schema');
    is((ctl('-f', configuration($database), 'migrate'))[0], 0, 'migrate grants them');
    like((check($database))[1]{rights}, qr/^OK/, 'and the rights are good');
    like((check("$database\nDBDMax 60"))[1]{connections}, qr/^WARN .* up to 236 .* accepts 97: raise/,
        'too many connections');
};

subtest 'several databases' => sub {
    my $host = sub {"<VirtualHost *>\nLearnHub On\n$_[0]\n</VirtualHost>\n"};
    my ($second, $third) = map {qq(DBDParams "@{[conninfo_of('learnhub', $_)]}")} qw(learnhub_another learnhub_absent);
    create_database('learnhub_another');
    my %first = (
        "$database\n" . $host->($second) . $host->($third) => 'learnhub_check',
        "$database\nLearnHub Off\n" . $host->($second) . $host->('') . $host->($third) => 'learnhub_another',
        $host->($third) . $host->($second) => 'learnhub',
    );
    for my $directives (sort keys %first) {
        my $conf = configuration($directives);
        local $ENV{PSQL} = '/bin/echo';
        my %used = map { $_ => 1 } map { (ctl('-f', $conf, 'psql'))[1] =~ /dbname='(\w+)'/ } 1 .. 6;
        is_deeply([keys %used], [$first{$directives}], "psql always opens $first{$directives}");
    }
    my $conf = configuration("$database\n" . $host->($second));
    my ($status, $text) = ctl('-f', $conf, 'check', 'database', 'schema');
    is($status, 1, 'a database without a schema fails');
    like($text, qr/^OK +schema .*dbname=learnhub_check: its version/m, 'lines name the database');
    like($text, qr/^FAIL +schema .*dbname=learnhub_another: there is none: learnhub-ctl -d CONNINFO migrate$/m,
        'also the one without a schema');
    like($text, qr/^OK +database .*without -d, other commands use .*dbname=learnhub_check$/m,
        'and which one other commands use');
    unlike((check($database))[2], qr/dbname=/, 'with one database they do not');
};

subtest 'the schema' => sub {
    my ($comment) = $owner->selectrow_array(q(SELECT obj_description('learnhub'::regnamespace)));
    my ($version) = $comment =~ /(\d+)/;
    my %case = (
        'mod_learnhub schema ' . ($version - 1) => qr/^FAIL .* is \d+, the module needs $version: learnhub-ctl m/,
        'mod_learnhub schema ' . ($version + 1) => qr/^WARN .* install the new version soon$/,
        "mod_learnhub schema @{[$version + 2]}, serves modules from @{[$version + 1]}" => qr/^FAIL .*: install the new/,
    );
    for my $text (sort keys %case) {
        $owner->do("COMMENT ON SCHEMA learnhub IS '$text'");
        my ($status, $line) = check($database, 'schema');
        like($line->{schema}, $case{$text}, $text);
        is($status, $line->{schema} =~ /^FAIL/ ? 1 : 0, 'exit status');
    }
    $owner->do("COMMENT ON SCHEMA learnhub IS '$comment'");
};

# A psql whose database has another clock.
subtest 'clocks and jobs' => sub {
    for my $case ([-30, 'WARN', 'behind'], [100, 'FAIL', 'ahead']) {
        my ($seconds, $level, $word) = @$case;
        my $later = qq(/^clock=/ { printf "clock=%f\\n", \$2 + $seconds; next } 1);
        my $script = qq(#!/bin/sh\n"$psql" "\$@" | awk -F= '$later'\n);
        local $ENV{PSQL} = secret_file('psql', 0755, $script);
        my ($status, $line) = check($database);
        like($line->{clocks}, qr/^$level .* s $word: synchronise/, "a clock that is $word");
    }
    $owner->do("UPDATE learnhub.changes_pruned SET at = now() - interval '20 minutes'");
    my ($status, $line) = check($database);
    is($status, 1, 'jobs that have not run fail');
    like($line->{jobs}, qr/^FAIL .*none has run for 20 minutes/, 'with the time');
    $owner->do('UPDATE learnhub.changes_pruned SET at = now()');
    $owner->do(q(INSERT INTO learnhub.outbox (to_address, subject, body, due_at)
                 VALUES ('a@example.org', '', '', now() - interval '1 h')));
    like((check($database))[1]{jobs}, qr/^WARN .* 1 mail waits for/, 'a late mail is reported');
    $owner->do('DELETE FROM learnhub.outbox');
};

subtest 'the mail server' => sub {
    my $mail = LearnHub::Mail->new;
    my $smtp = "$database\nLearnHubMailFrom a\@example.org\nLearnHubSMTP " . $mail->url;
    my ($status, $line) = check($smtp, 'mail');
    is($status, 1, 'a server that does not run fails');
    like($line->{mail}, qr/^FAIL .*smtp:.*connect.*: check LearnHubSMTP/i, 'with the reason');
    $mail->start;
    like((check($smtp, 'mail'))[1]{mail}, qr/^OK/, 'a server that answers');
    my $auth = "\nLearnHubSMTPAuth user file:" . secret_file('smtp', 0600, 'pass"word');
    $mail->behave(offers => ['AUTH PLAIN'], auth => '535 no such login');
    like((check($smtp . $auth, 'mail'))[1]{mail}, qr/^FAIL .*(?:login|denied|auth)/i, 'a rejected login');
    $mail->behave(offers => ['AUTH PLAIN']);
    like((check($smtp . $auth, 'mail'))[1]{mail}, qr/^OK/, 'an accepted login');
    $mail->behave(ehlo => '421 busy');
    is((check($smtp, 'mail'))[0], 1, 'a server that rejects EHLO');
    my @commands = map { $_->[0] } $mail->entries('commands');
    is((scalar grep {/^NOOP$/} @commands), 2, 'curl sent NOOP');
    is((scalar grep {/^MAIL/} @commands), 0, 'and no mail');
    $mail->stop;
};

subtest 'files' => sub {
    my $key = secret_file('open-key', 0644, 'k' x 40);
    my ($status, $line) = check("$database\nLearnHubJWTSecret file:$key");
    my $warning = qr/^WARN .*LearnHubJWTSecret: \S+open-key has mode 0644: chown root \S+; chmod 600/m;
    like($line->{secrets}, $warning, 'a key');
    chmod 0600, $key;
    my $host = "$database\nLearnHub Off\n<VirtualHost *>\nLearnHub On\nLearnHubJWTSecret file:$key\n%s</VirtualHost>";
    ($status, $line) = check(sprintf($host, ''), 'secrets');
    like($line->{secrets}, qr/^OK +secrets +only its owner can read \Q$key\E$/, 'one file');
    my $second = 'LearnHubJWTSecret file:' . secret_file('second-key', 0600, 'l' x 40) . "\n";
    ($status, $line) = check(sprintf($host, $second), 'secrets');
    like($line->{secrets}, qr/^OK .* only their owners can read the 2 files$/, 'two files');
    my $passfile = secret_file('pgpass', 0640, '*:*:*:*:secret');
    ($status, $line) = check(qq(DBDParams "$params passfile=$passfile"));
    like($line->{secrets}, qr/^FAIL .*passfile: \S+ has mode 0640/m, 'a passfile, which libpq ignores then');
    ($status, $line) = check(qq(DBDParams "$params passfile=$passfile-absent"));
    like($line->{secrets}, qr/^FAIL .*passfile: .* No such file/m, 'one that does not exist');
    mkdir "$files/spool";
    chmod 0500, "$files/spool";
    ($status, $line) = check("$database\nLearnHubSpool 1048576 $files/spool");
    like($line->{spool}, $> ? qr/^FAIL .*cannot write to \S+spool/ : qr/^OK/, 'a directory without the right to write');
    ($status, $line) = check("$database\nLearnHubSpool 1099511627776");
    like($line->{spool}, qr/^(?:WARN|OK) .* MB free, each process uses up to 1048576/, 'the space');
};

subtest 'role and psql' => sub {
    $owner->do(q(INSERT INTO learnhub.users (username, email, password_hash) VALUES ('a', 'a@example.org', '!')));
    local $ENV{DATABASE} = conninfo_of('learnhub_owner', 'learnhub_check');
    is_deeply([ctl('role', 'a@example.org', 'admin')], [0, "learnhub: a\@example.org is now admin.\n"], 'a role');
    is_deeply([ctl(qw(psql -Atc), 'SELECT role FROM learnhub.users')], [0, "admin\n"], 'psql opens the database');
    my ($status, $text) = ctl('role', 'a@example.org', 'king');
    is($status, 1, 'an unknown role is an error');
    like($text, qr/"king" is not a role/, 'with the message of the database');
    ($status, $text) = ctl('-d', $params, qw(psql -Atc), 'SELECT current_user');
    is($text, "learnhub\n", '-d precedes DATABASE');
};

# psql opens the database, and shows its own command line and environment. All passwords consist of kiwi and plum.
subtest 'passwords' => sub {
    my ($socket, $port) = $params =~ /host=@(\S+) port=(\d+)/;
    my $at = "learnhub_check?host=%40$socket&port=$port";
    my %password = (
        "postgresql://learnhub_owner:kiwi?%3F%40%25plum@/$at" => 'kiwi??@%plum',
        "postgres://learnhub_owner:kiwi@/$at&password=kiwi%26plum&sslmode=disable" => 'kiwi&plum',
        "postgresql:///$at&password=kiwi&user=learnhub_owner&password=plum" => 'plum',
        "$params user=learnhub_owner password='kiwi\\'s plum' sslmode=disable" => q(kiwi's plum),
        "$params user=learnhub_owner password=kiwi\\ plum@?%" => 'kiwi plum@?%',
    );
    for my $conninfo (sort keys %password) {
        local $ENV{DATABASE} = $conninfo;
        my $show = '\\! tr "\\\\0" " " </proc/$PPID/cmdline; echo; echo "$PGPASSWORD"';
        my ($user, $arguments, $password) = split /\n/, (ctl(qw(psql -At -c), 'SELECT current_user', '-c', $show))[1];
        is_deeply([$user, $password], ['learnhub_owner', $password{$conninfo}], "psql opens $conninfo");
        like($arguments, qr/psql.*learnhub_check.*PPID/, 'its arguments have the database');
        unlike($arguments, qr/kiwi|plum/, 'and no password');
    }
    my @wrong = map {"postgresql://learnhub_owner:$_/$at"} 'kiwi@plum@', 'kiwi/plum@', 'kiwi%plum@', 'kiwi@?plum@',
        'kiwi%00plum@', 'kiwi';
    push @wrong, map {"postgresql:///$at&$_"} 'password=kiwi&plum', 'password=kiwi=plum', 'pass%77ord=kiwi',
        'sslpassword=kiwi', 'user=kiwi@plum';
    push @wrong, map {"$params $_"} 'password=kiwi plum', q(password='kiwi'plum), 'sslpassword=kiwi';
    push @wrong, 'POSTGRES://u:kiwi@h/d?user=u';
    my $sentence = qr/the URI is not valid: in a password, @|the connection string is not valid: exp|sslpassword would/;

    for my $conninfo (@wrong) {
        local @ENV{qw(DATABASE PSQL)} = ($conninfo, '/bin/echo');
        my ($status, $text) = ctl('psql');
        is($status, 1, "$conninfo is refused");
        like($text, qr/^learnhub: $sentence[^\n]+\n\z/, 'with a sentence');
        unlike($text, qr/kiwi|plum/, 'which does not contain the password');
    }
    my ($status, $line, $text) = check(qq(DBDParams "postgresql://learnhub:kiwi?plum@/$at"));
    like($line->{database}, qr/^OK/, 'check accepts a URI');
    like($line->{secrets}, qr/DBDParams: password is in the configuration itself/, 'and reports its password');
    unlike($text, qr/kiwi|plum/, 'without it');
    ($status, $line) = check(qq(DBDParams "postgresql://learnhub:kiwi\@plum@/$at"), 'database');
    like($line->{database}, qr/^FAIL .*the URI is not valid: in a password/, 'a URI that libpq does not accept');
    ($status, $text) = ctl('-f', configuration(qq(DBDParams "postgresql://learnhub@/$at")), 'psql');
    like($text, qr/^learnhub: DBDParams is no list of name=value: give the database with -d/, 'other commands need -d');
};

$owner->disconnect;
drop_databases();
done_testing;
