# SPDX-License-Identifier: Apache-2.0
# Runs wrk or pgbench and returns a run as described in Bench::Report.
package Bench::Load;

use strict;
use warnings;

use JSON::XS ();

use Bench::Processes ();
use Bench::Site ();
use Bench::Sql ();
use Bench::Work ();

use constant THREADS => 2; # of wrk and pgbench

my $json = JSON::XS->new->utf8;

# Sends the first `count` requests of a work load (default: all) one after the other and compares the answers with the
# database. Stores the mean size of the answers for the limit `const`. Returns sentences about wrong answers.
sub check {
    my ($site, $work, $count) = @_;
    my $requests = $work->{requests};
    $site->disconnect; # httpd may have closed a connection that was idle during a run
    my ($sum, $answers, @wrong) = (0, 0);
    for my $request (@$requests[0 .. ($count || @$requests) - 1]) {
        my $reply = $site->send_request($request);
        my $why = $reply->{status} != $request->{status} ? "status $reply->{status}: $reply->{content}"
            : $request->{check} ? $request->{check}->($request, $reply) : undef;
        push @wrong, "$request->{method} $request->{path}: $why" if $why;
        $request->{size} = length $reply->{content};
        ($sum, $answers) = ($sum + $request->{size}, $answers + 1) if $reply->{status} < 300;
    }
    $work->{size} = $answers ? int($sum / $answers + 0.5) : 0;
    return @wrong;
}

# Writes the files that t/bench/load.lua reads. `constant` asks for constant bodies of the same size.
sub write_requests {
    my ($site, $name, $work, $constant) = @_;
    for my $thread (0 .. THREADS - 1) {
        my $file = "build/bench/$name-$thread";
        open my $out, '>:raw', $file or die "bench: $file: $!\n";
        for my $request (@{ $work->{requests} }[grep { $_ % THREADS == $thread } 0 .. $#{ $work->{requests} }]) {
            my $status = $request->{status} < 300 ? $request->{status} : 201;
            my $size = $request->{status} < 300 && $request->{size} || $work->{size};
            my $raw = $site->raw_request($request, $constant ? "$status/$size" : undef);
            print $out length $raw, "\n", $raw;
        }
        close $out or die "bench: $file: $!\n";
    }
    return;
}

# The output of a command, and whether it succeeded.
sub output_of {
    my (@command) = @_;
    open my $from, '-|', @command or die "bench: $command[0]: $!\n";
    my $output = do { local $/; <$from> };
    return ($output, close $from);
}

# Runs the sub, which returns a part of the run, and adds what it cost.
sub measure {
    my ($site, $run) = @_;
    my $servers = $site->servers;
    $site->empty_log;
    my $loop = Bench::Processes::loop();
    my $from = Bench::Processes::snapshot($servers);
    my %run = $run->();
    my $to = Bench::Processes::snapshot($servers);
    return { %run, loops => [$loop, Bench::Processes::loop()], pss => Bench::Processes::pss($servers->{httpd}),
        %{ Bench::Processes::cost($from, $to, sort keys %$servers) } };
}

# Requests to httpd. `name` is that of the files of write_requests().
sub http {
    my ($site, $name, $connections, $seconds) = @_;
    return measure($site, sub {
            my ($output) = output_of('wrk', '-t', THREADS, '-c', $connections, '-d', "${seconds}s", '--timeout', '10s',
                '-s', 't/bench/load.lua', "http://127.0.0.1:$site->{port}", '--', "build/bench/$name");
            my ($line) = $output =~ /^(\{.*\})$/m or die "bench: wrk returned: $output\n";
            my $result = $json->decode($line);
            my $errors = 0;
            my @kinds = qw(connect read write timeout status);
            $errors += $_ for @$result{@kinds};
            my ($p50, $p99) = map { $_ / 1000 } @$result{qw(p50_us p99_us)};
            return (rate => $result->{requests} / $result->{seconds}, p50 => $p50, p99 => $p99, errors => $errors,
                wrong => [],
                map { $_ => $result->{$_} } qw(requests sent), @kinds);
    });
}

# E: a try without a seat left is no error, but the seats must be sold exactly.
sub http_sale {
    my ($site, $work, $name, $connections, $seconds) = @_;
    my $run = http($site, $name, $connections, $seconds);
    my ($least) = sort { $a <=> $b } @{ $run->{sent} };
    my $sold = Bench::Work::sold($site, THREADS * $least, $connections);
    my $answered = $run->{requests} - $run->{status};
    push @{ $run->{wrong} }, @{ $sold->{wrong} };
    push @{ $run->{wrong} }, "$answered clients got a seat, but $sold->{sold} seats were sold"
        if $answered > $sold->{sold} || $answered + $connections < $sold->{sold};
    $run->{sold} = $sold->{sold};
    my $statuses = $site->statuses;
    $run->{errors} -= $run->{status};
    $run->{errors} += $statuses->{$_} for grep { $_ != 201 && $_ != 400 } keys %$statuses;
    return $run;
}

# The rows found by index and changed so far, in all tables.
sub rows_touched {
    my ($site) = @_;
    my ($row) = $site->sql('SELECT sum(idx_tup_fetch) AS found, sum(n_tup_ins + n_tup_upd) AS changed '
            . 'FROM pg_stat_user_tables');
    return $row;
}

# Sentences about statements that found or changed fewer rows than those of the route do.
sub idle_statements {
    my ($work, $requests, $before, $after) = @_;
    return map {
        my $rows = $after->{$_} - $before->{$_};
        $rows < 0.95 * $work->{$_} * $requests ? "the statements of $requests requests $_ only $rows rows" : ()
    } qw(found changed);
}

# The statements of a work load by themselves, on as many connections as the processes of httpd use together.
sub sql {
    my ($site, $name, $works, $routes, $clients, $seconds) = @_;
    my ($scripts, $defines) = Bench::Sql::scripts($name, $works, $routes, $clients);
    my @files;
    for my $script (@$scripts) {
        my $file = "build/bench/$name-@{[scalar @files]}.sql";
        open my $out, '>:raw', $file or die "bench: $file: $!\n";
        print $out $script->[0];
        close $out or die "bench: $file: $!\n";
        push @files, '-f', "$file\@$script->[1]";
    }
    my @defines = map { ('-D', "$_=$defines->{$_}") } sort keys %$defines;
    local $ENV{PGOPTIONS} = Bench::Sql::SETTINGS;
    my $before = rows_touched($site);
    my $run = measure($site, sub {
            my ($output, $succeeded) = output_of(Bench::Site::postgres_program('pgbench'), qw(-n -M prepared), '-j',
                THREADS, '-c', $clients, '-T', $seconds, @defines, @files,
                $site->conninfo('learnhub'));
            my ($number) = $output =~ /^number of transactions actually processed: (\d+)/m
                or die "bench: pgbench returned: $output\n";
            my ($rate) = $output =~ /^tps = ([\d.]+)/m; # missing if the machine was too slow for one transaction
            my ($failed) = $output =~ /^number of failed transactions: (\d+)/m;
            return (rate => ($rate || 0) * Bench::Sql::STEPS, requests => $number * Bench::Sql::STEPS,
                errors => $failed || 0,
                wrong => [$succeeded ? () : 'pgbench aborted clients; see its messages above',
                    $number ? () : 'pgbench finished no transaction']);
    });
    push @{ $run->{wrong} }, idle_statements($works->{$name}, $run->{requests}, $before, rows_touched($site));
    return $run;
}

# E by itself: the seats must be sold exactly here as well. A client of pgbench can be ahead of the others, so the tries
# are not sent in the order of their numbers.
sub sql_sale {
    my ($site, $works, @more) = @_;
    my $run = sql($site, 'E', $works, @more);
    my $sold = Bench::Work::sold($site, 0, 0);
    push @{ $run->{wrong} }, @{ $sold->{wrong} };
    return $run;
}

1;
