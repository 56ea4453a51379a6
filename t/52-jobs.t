# SPDX-License-Identifier: Apache-2.0
# Failing jobs in the error log: one line per failure, however often it repeats, for each job and database of a process.
use strict;
use warnings;

use lib 't/lib';
use LearnHub::Test;

my @jobs = qw(mentoring.reminders outbox.expire);

# Lets these jobs count their runs and fail on demand, separately for each application_name.
sub install_faults {
    sql('CREATE TABLE learnhub.test_faults (fault text PRIMARY KEY)');
    sql(<<'SQL');
CREATE FUNCTION learnhub.test_run(job text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    client text := current_setting('application_name');
BEGIN
    IF client LIKE 'jobs-%' THEN
        PERFORM nextval(format('learnhub.%I', client || ' ' || job)); -- survives the exception
        IF EXISTS (SELECT 1 FROM learnhub.test_faults WHERE fault = client || ' ' || job) THEN
            RAISE EXCEPTION 'fault of %', client;
        END IF;
    END IF;
END
$$
SQL
    for my $client (qw(jobs-a jobs-b)) {
        sql(qq(CREATE SEQUENCE learnhub."$client $_")) for @jobs;
    }
    sql(<<'SQL');
CREATE OR REPLACE FUNCTION learnhub.post_reminders() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM learnhub.test_run('mentoring.reminders');
    RETURN 0;
END
$$
SQL
    sql(<<'SQL');
CREATE FUNCTION learnhub.test_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM learnhub.test_run('outbox.expire');
    RETURN NULL;
END
$$
SQL
    sql('CREATE TRIGGER test_outbox BEFORE UPDATE ON learnhub.outbox EXECUTE FUNCTION learnhub.test_outbox()');
    return;
}

sub remove_faults {
    my ($post_reminders) = @_;
    sql('DROP TRIGGER test_outbox ON learnhub.outbox');
    sql($post_reminders);
    sql('DROP FUNCTION learnhub.test_outbox()');
    sql('DROP FUNCTION learnhub.test_run(text)');
    for my $client (qw(jobs-a jobs-b)) {
        sql(qq(DROP SEQUENCE learnhub."$client $_")) for @jobs;
    }
    sql('DROP TABLE learnhub.test_faults');
    return;
}

sub break_jobs {
    my ($client) = @_;
    sql('INSERT INTO learnhub.test_faults VALUES (?)', "$client $_") for @jobs;
    return;
}

sub repair_jobs {
    my ($client) = @_;
    sql('DELETE FROM learnhub.test_faults WHERE fault LIKE ?', "$client %");
    return;
}

sub runs {
    my ($client, $job) = @_;
    return (sql(qq(SELECT last_value - 1 + is_called::int AS n FROM learnhub."$client $job")))[0]{n};
}

# Waits until each job has been started $n times more with a database, so that n - 1 new runs have ended.
sub wait_for_runs {
    my ($client, $n) = @_;
    my %until = map { $_ => runs($client, $_) + $n } @jobs;
    my $name = "$client: each job is started $n times";
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(eventually(sub { !grep { runs($client, $_) < $until{$_} } @jobs }, 15 + 6 * $n), $name);
}

my $httpd;

# The number of log lines about failures of each job with a database: {job => n}.
sub logged {
    my ($client) = @_;
    my $log = $httpd->log_text;
    my %count;
    $count{$_} = () = $log =~ /:warn\].*: job \Q$_\E fails: .*fault of $client$/mg for @jobs;
    return \%count;
}

sub times_each { my ($n) = @_; return { map { $_ => $n } @jobs } }

my ($post_reminders) = map { $_->{d} } sql(q(SELECT pg_get_functiondef('learnhub.post_reminders'::regproc) AS d));
install_faults();
expect_log(qr/LH0020: job (?:mentoring\.reminders|outbox\.expire) fails: SQLSTATE P0001: fault of jobs-[ab]$/);

# Virtual hosts with different DBDParams are different databases for the module. One process, so that lines can be
# counted.
my $hosts = join '', map {<<"CONF"} qw(a b);
<VirtualHost *>
    ServerName $_.example
    DBDParams "$ENV{LEARNHUB_OWNER} application_name=jobs-$_"
</VirtualHost>
CONF
$httpd = second_httpd("StartServers 1\nServerLimit 1\nMaxRequestWorkers 32\nMaxSpareThreads 32\n$hosts");

subtest 'two jobs that fail at the same time are each logged once' => sub {
    break_jobs('jobs-a');
    wait_for_runs('jobs-a', 3);
    is_deeply(logged('jobs-a'), times_each(1), 'several failed runs of each job: one line per job');
};

subtest 'jobs are logged for each database' => sub {
    is_deeply(logged('jobs-b'), times_each(0), 'the jobs of the other database worked meanwhile and are not logged');
    break_jobs('jobs-b');
    wait_for_runs('jobs-b', 2);
    is_deeply(logged('jobs-b'), times_each(1), 'their failure is logged once');
    is_deeply(logged('jobs-a'), times_each(1), 'the failure of the first database is not logged again');
};

subtest 'a repaired job that fails again is logged again' => sub {
    repair_jobs('jobs-a');
    wait_for_runs('jobs-a', 2);
    is_deeply(logged('jobs-a'), times_each(1), 'repaired jobs are not logged');
    break_jobs('jobs-a');
    wait_for_runs('jobs-a', 2);
    is_deeply(logged('jobs-a'), times_each(2), 'the new failure is logged once');
    is_deeply(logged('jobs-b'), times_each(1), 'the lasting failure of the other database is not logged again');
};

$httpd->stop;
remove_faults($post_reminders);
done_testing();
