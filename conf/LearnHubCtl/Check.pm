# SPDX-License-Identifier: Apache-2.0
# learnhub-ctl check: one line for each part of an installation.
package LearnHubCtl::Check;

use strict;
use warnings;

use Exporter qw(import);
use POSIX ();
use Time::HiRes qw(time);

use LearnHubCtl::Database;
use LearnHubCtl::Httpd;

our @EXPORT = qw(check);

my $failed = 0;
my %selected; # the parts to check; none: all
my $database; # with several: the one that is checked
my $other = 0; # it is not the one that other commands use

# Prints a line of the check. `remedy` is what to do about a problem. If parts were selected, others are left out,
# unless the database cannot be reached.
sub report {
    my ($level, $what, $text, $remedy) = @_;
    return 1 if %selected && !$selected{$what} && !($what eq 'database' && $level eq 'FAIL');
    $failed ||= $level eq 'FAIL';
    $text =~ s/\s*\n\s*/ /g;
    $text =~ s/[.:\s]+$//;
    $text = "$database: $text" if defined $database;
    $remedy =~ s/learnhub-ctl (?=migrate)/learnhub-ctl -d CONNINFO / if $other && defined $remedy;
    return printf "%-4s  %-13s  %s%s\n", $level, $what, $text, defined $remedy ? ": $remedy" : '';
}

sub number { my ($number, $one, $several) = @_; return $number == 1 ? "1 $one" : "$number $several" }

# In a child process: takes the rights of httpd's child processes, as far as this process can.
sub become_httpd {
    my ($config) = @_;
    return if $> != 0 || !defined $config->{user};
    my (undef, undef, $uid, $gid) = getpwnam $config->{user} or POSIX::_exit(126);
    $gid = getgrnam($config->{group} // '') // $gid;
    $) = "$gid $gid";
    POSIX::setgid($gid);
    POSIX::setuid($uid);
    delete @ENV{qw(HOME PGPASSFILE)};
    return chdir '/';
}

# The output of psql with httpd's connection string and rights; undef and the message of psql if it failed.
sub ask {
    my ($config, $conninfo, $sql) = @_;
    my $pid = open(my $pipe, '-|') // fail("fork: $!");
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        become_httpd($config);
        my @command = psql($conninfo, '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', $sql);
        exec { $command[0] } @command or print "$command[0] cannot be executed: $!" and POSIX::_exit(127);
    }
    my $text = join '', <$pipe>;
    return close $pipe ? ($text) : (undef, $text =~ s/^psql: error: //r);
}

sub check_configuration {
    my ($file) = @_;
    my ($passed, $text) = run_httpd($file, '-t');
    my $why = join ' ', grep { !/^AH00558|^AH00014|^Action '|^The Apache error log/ } split /\n/, $text;
    return $passed
        ? report(OK => 'configuration', 'httpd accepts it')
        : report(FAIL => 'configuration', $why, 'correct it, see learnhub.conf(5)');
}

sub check_modules {
    my ($config) = @_;
    my @missing = grep { !$config->{modules}{$_} } qw(learnhub dbd watchdog);
    my $all = %{ $config->{modules} };
    return report(FAIL => 'modules', "@missing is not loaded", "a2enmod @missing") if $all && @missing;
    return report(WARN => 'modules', 'no server has LearnHub On', 'configure one, see OPERATING.md')
        if !serving($config);
    return report(FAIL => 'modules', 'DBDParams is not set', 'configure the database, see OPERATING.md')
        if !databases($config);
    return report(OK => 'modules', 'learnhub, dbd and watchdog are loaded') if $all;
    return;
}

# Facts about the database as lines name=value.
my $facts = <<'SQL';
SELECT name || '=' || coalesce(value, '')
FROM (SELECT to_regnamespace('learnhub') AS oid) n,
LATERAL (VALUES
    ('clock', extract(epoch FROM clock_timestamp())::text),
    ('role', current_user),
    ('version', current_setting('server_version')),
    ('standby', pg_is_in_recovery()::text),
    ('schema', obj_description(n.oid, 'pg_namespace')),
    ('connections', (current_setting('max_connections')::int
                     - current_setting('superuser_reserved_connections')::int)::text),
    ('usage', has_schema_privilege(n.oid, 'USAGE')::text),
    ('lacks', (SELECT string_agg(c.relname, ' ' ORDER BY c.relname)
               FROM pg_class c
               WHERE c.relnamespace = n.oid AND (
                   c.relkind = 'r' AND NOT (
                       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                       AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
                   OR c.relkind = 'S' AND NOT has_sequence_privilege(c.oid, 'USAGE')))),
    ('excess', concat_ws(', ',
        (SELECT 'it is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper),
        (SELECT 'it owns the schema' FROM pg_namespace s WHERE s.oid = n.oid AND pg_has_role(s.nspowner, 'USAGE'))))
    ) AS facts (name, value)
SQL

# The checks of one database; returns whether its data can be read.
sub check_database {
    my ($config, $params, $server) = @_;
    my $before = time;
    my ($text, $why) = ask($config, $params, $facts);
    my $after = time;
    defined $text or return report(FAIL => 'database', "not reachable: $why", 'check DBDParams and pg_hba.conf') && 0;
    my %is = map { split /=/, $_, 2 } split /\n/, $text;
    report(OK => 'database', "PostgreSQL $is{version} accepts the role $is{role}");
    report(FAIL => 'database', 'the server is a standby', 'add target_session_attrs=read-write to DBDParams')

        if $is{standby} eq 'true';
    check_rights(\%is);
    check_schema($is{schema}, $config->{needed});
    check_connections($config, $server, $is{connections});
    check_clock($is{clock} - ($before + $after) / 2, ($after - $before) / 2);
    return $is{usage} eq 'true' && $is{lacks} eq '';
}

sub check_rights {
    my ($is) = @_;
    my $migrate = "learnhub-ctl migrate -g $is->{role}";
    return report(FAIL => 'rights', "$is->{role} may not use the schema learnhub", $migrate) if $is->{usage} ne 'true';
    return report(FAIL => 'rights', "$is->{role} may not read and write $is->{lacks}", $migrate) if length $is->{lacks};
    return report(WARN => 'rights', "$is->{role} has more rights than it needs, $is->{excess}",
        'let another role own the schema') if length $is->{excess};
    return report(OK => 'rights', "$is->{role} may read and write the data");
}

sub check_schema {
    my ($comment, $needed) = @_;
    my ($version, $from) = $comment =~ /^mod_learnhub schema (\d+)(?:, serves modules from (\d+))?$/;
    defined $version or return report(FAIL => 'schema', 'there is none', 'learnhub-ctl migrate');
    return report(FAIL => 'schema', "its version is $version, the module needs $needed", 'learnhub-ctl migrate')
        if $version < $needed;
    return report(FAIL => 'schema', "its version $version serves modules for $from or newer, this is for $needed",
        'install the new version') if $needed < ($from // 0);
    return report(WARN => 'schema', "its version is $version, the module is made for $needed",
        'install the new version soon') if $version > $needed;
    return report(OK => 'schema', "its version is $version");
}

# As the module counts them at start (LH0113).
sub check_connections {
    my ($config, $server, $accepted) = @_;
    my $main = $config->{servers}[0];
    my $prefork = $config->{modules}{mpm_prefork};
    my $threads = $prefork ? 1 : setting($main, 'ThreadsPerChild', 25);
    my $limit = setting($main, 'ServerLimit', $prefork ? 256 : 16);
    my $workers = setting($main, 'MaxRequestWorkers') // setting($main, 'MaxClients') // $limit * $threads;
    my $children = POSIX::ceil($workers / $threads);
    my $size = setting($server, 'DBDMax', 10);
    $size-- if $size >= 4;
    $size = $size > 63 ? 63 : $prefork && $size > 2 ? 2 : $size;
    my $processes = $prefork || $limit < $children ? $children : $limit < 2 * $children ? $limit : 2 * $children;
    my $most = $processes * $size;
    my $text = "$children child processes with $size each open up to $most during a graceful restart";
    return $most > $accepted
        ? report(WARN => 'connections', "$text, PostgreSQL accepts $accepted", 'raise max_connections or lower DBDMax')
        : report(OK => 'connections', "$text, PostgreSQL accepts $accepted");
}

sub check_clock {
    my ($ahead, $error) = @_;
    my $off = abs($ahead) > $error ? abs($ahead) - $error : 0;
    my $text = sprintf 'the clock of the database differs by %.1f s or less', abs($ahead) + $error;
    return report(OK => 'clocks', $text) if $off <= 2;
    return report($off > 60 ? 'FAIL' : 'WARN', 'clocks', sprintf('the clock of the database is %.0f s %s', abs $ahead,
            $ahead > 0 ? 'ahead' : 'behind'), 'synchronise both machines, for example with chrony');
}

# A job updates changes_pruned every five minutes.
sub check_jobs {
    my ($config, $params) = @_;
    my ($text) = ask($config, $params, <<'SQL');
SELECT (SELECT extract(epoch FROM now() - at)::bigint FROM learnhub.changes_pruned),
       (SELECT count(*) FROM learnhub.outbox
        WHERE state = 'waiting' AND attempts = 0 AND due_at < now() - interval '10 minutes'),
       (SELECT count(*) FROM learnhub.outbox WHERE state = 'failed' AND created_at > now() - interval '1 day')
SQL
    my ($age, $unsent, $rejected) = split /\||\n/, $text // '';
    length($age // '') or return report(WARN => 'jobs', 'their state cannot be read', 'run `learnhub-ctl migrate`');
    return report(FAIL => 'jobs', sprintf('none has run for %.0f minutes', $age / 60), 'start httpd, see its error log')
        if $age > 600;
    return report(WARN => 'jobs', number($unsent, 'mail waits', 'mails wait') . ' for more than ten minutes',
        'set LearnHubSMTP, see the error log') if $unsent;
    return report(WARN => 'jobs', number($rejected, 'mail', 'mails') . ' failed within a day', 'see outbox.last_error')
        if $rejected;
    return report(OK => 'jobs', "they ran $age s ago or less, no mail is late");
}

# ---- check: mail server, files ----

# The text of a secret "file:PATH", or undef. It is read as root, as httpd does.
sub secret {
    my ($config, $source) = @_;
    my ($path) = $source =~ /^file:(.*)/ or return;
    open my $in, '<', absolute($config, $path) or return;
    my $line = <$in> // '';
    chomp $line;
    return $line;
}

# curl speaks to the mail server as the module does, up to its login, and sends no mail.
sub check_mail {
    my ($config, $server) = @_;
    my $url = setting($server, 'LearnHubSMTP') // return;
    my $is_local = $url =~ m{//(?:localhost|127\.[\d.]+|\[::1\])(?::|/|$)};
    my $is_optional = lc(setting($server, 'LearnHubSMTPSecurity', 'required')) eq 'opportunistic';
    my @lines = (qq(url = "$url"), 'request = "NOOP"', $is_local || $is_optional ? 'ssl' : 'ssl-reqd');
    if (my $login = $server->{learnhubsmtpauth}) {
        my ($user, $source) = @{ $login->[-1] };
        my $password = secret($config, $source);
        push @lines, 'user = "' . "$user:$password" =~ s/([\\"])/\\$1/gr . q(") if defined $password;
    }
    my $conf = join '', map {"$_\n"} @lines;
    my ($status, $why) = curl($conf);
    return report(OK => 'mail', "$url accepts mails") if $status == 0;
    return report(WARN => 'mail', 'curl is not installed, which speaks to the mail server', 'apt-get install curl')
        if $status == 127;
    return report(FAIL => 'mail', "$url: $why", 'check LearnHubSMTP, LearnHubSMTPAuth and LearnHubSMTPSecurity');
}

# Runs curl with a configuration; returns its exit status and message.
sub curl {
    my ($conf) = @_;
    pipe my $from, my $to or fail("pipe: $!");
    my $pid = open(my $pipe, '-|') // fail("fork: $!");
    if (!$pid) {
        close $to;
        open STDIN, '<&', $from;
        open STDERR, '>&', \*STDOUT;
        exec qw(curl -sS -o /dev/null --connect-timeout 5 -m 15 -K -) or POSIX::_exit(127);
    }
    close $from;
    local $SIG{PIPE} = 'IGNORE';
    print {$to} $conf;
    close $to;
    my $text = join '', <$pipe>;
    close $pipe;
    return ($? >> 8 || ($? ? 1 : 0), $text =~ s/^curl: \(\d+\) //r);
}

# The files with secrets: [directive, path, who must be able to read it].
sub secret_files {
    my ($config) = @_;
    my %found;
    for my $server (serving($config)) {
        for my $name (qw(LearnHubJWTSecret LearnHubSMTPAuth LearnHubModelKey)) {
            for my $words (@{ $server->{ lc $name } || [] }) {
                my $source = $words->[-1];
                $found{"$name $1"} = [$name, absolute($config, $1), 'root'] if $source =~ /^file:(.*)/;
                $found{$name} = [$name] if $source !~ /^(?:file|exec|env):/;
            }
        }
        my $conninfo = setting($server, 'DBDParams', '');
        my %params = map {@$_} parameters($conninfo);
        $params{password} = (split_uri($conninfo))[1] if is_uri($conninfo);
        $found{passfile} = ['DBDParams: passfile', $params{passfile}, $config->{user} // 'root'] if $params{passfile};
        $found{password} = ['DBDParams: password'] if defined $params{password};
    }
    return map { $found{$_} } sort keys %found;
}

sub check_secrets {
    my ($config) = @_;
    my ($good, @files) = (1, secret_files($config));
    for my $secret (@files) {
        my ($name, $path, $owner) = @$secret;
        if (!defined $path) {
            $good = report(WARN => 'secrets', "$name is in the configuration itself", 'move it into a file') && 0;
            next;
        }
        my ($mode, $uid) = (stat $path)[2, 4];
        my $remedy = "chown $owner $path; chmod 600 $path";
        if (!defined $mode) {
            $good = report(FAIL => 'secrets', "$name: $path: $!", 'create it, see OPERATING.md') && 0;
        }
        elsif ($mode & 077) {
            $good = report($name =~ /^DBD/ ? 'FAIL' : 'WARN',
                'secrets', sprintf('%s: %s has mode %04o', $name, $path, $mode & 07777), $remedy) && 0;
        }
        elsif ($name =~ /^DBD/ && $uid != (getpwnam($owner) // $uid)) {
            $good = report(FAIL => 'secrets', "$name: $path is not owned by $owner", $remedy) && 0;
        }
    }
    return if !$good || !@files;
    return report(OK => 'secrets', "only its owner can read $files[0][1]") if @files == 1;
    return report(OK => 'secrets', 'only their owners can read the ' . @files . ' files');
}

# Whether httpd's child processes can write to a directory.
sub can_write {
    my ($config, $directory) = @_;
    my $pid = fork // fail("fork: $!");
    if (!$pid) {
        become_httpd($config);
        POSIX::_exit(-d $directory && POSIX::access($directory, &POSIX::W_OK | &POSIX::X_OK) ? 0 : 1);
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub check_spool {
    my ($config, $server) = @_;
    my ($bytes, $directory) = map {@$_} ($server->{learnhubspool} || [[]])->[-1];
    $bytes //= 268_435_456;
    $directory = defined $directory ? absolute($config, $directory) : '/tmp';
    can_write($config, $directory)
        or return report(FAIL => 'spool', "httpd cannot write to $directory", 'see LearnHubSpool in DIRECTIVES.md');
    open my $df, '-|', 'df', '-Pk', '--', $directory or fail("df: $!");
    my ($free) = (join '', <$df>) =~ /\n\S+\s+\d+\s+\d+\s+(\d+)/;
    close $df;
    my $text = sprintf '%s has %d MB free, each process uses up to %d', $directory, $free / 1024, $bytes / 1_048_576;
    return $free * 1024 < $bytes
        ? report(WARN => 'spool', $text, 'free space or lower LearnHubSpool')
        : report(OK => 'spool', $text);
}

sub check_databases {
    my ($config) = @_;
    my @all = databases($config);
    for my $one (@all) {
        my ($params, $server) = @$one;
        ($database, $other) = (name_of($params), $one != $all[0]) if @all > 1;
        check_database($config, $params, $server) && check_jobs($config, $params);
    }
    ($database, $other) = (undef, 0);
    return if @all < 2;
    return report(OK => 'database', 'without -d, other commands use that of the first server, ' . name_of($all[0][0]));
}

# check(version of the schema that the module needs, configuration file of httpd, parts to check, or none for all):
# returns whether something failed.
sub check {
    my ($needed, $file, @parts) = @_;
    @selected{@parts} = (1) x @parts;
    local $| = 1;
    check_configuration($file);
    my $config = httpd($file);
    $config->{needed} = $needed;
    check_modules($config);
    check_databases($config);
    my (%mails, %spools);

    for my $server (serving($config)) {
        $mails{ setting($server, 'LearnHubSMTP', '') } //= $server;
        $spools{ setting($server, 'LearnHubSpool', '') } //= $server;
    }
    return $failed if %selected && !grep { $selected{$_} } qw(mail secrets spool);
    check_mail($config, $mails{$_}) for sort keys %mails;
    check_secrets($config);
    check_spool($config, $spools{$_}) for sort keys %spools;
    return $failed;
}

1;
