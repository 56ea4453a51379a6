# SPDX-License-Identifier: Apache-2.0
# Metrics for Prometheus and mod_status: counts compared with the access log, under load, across restarts and killed
# processes; the formats; conf/monitoring.
use strict;
use warnings;

use LearnHub::Mail;
use LearnHub::Test;

expect_log(qr/LH0031: /, qr/LH0021: /, qr/\[dbd:error\]/);

# The node measures the outbox when it starts: a mail of two hours ago that is not due, and one that has failed.
my %address = map { $_ => unique($_) . '@example.com' } qw(waiting failed good bad later);

sub mail {
    my ($columns, $values, $address) = @_;
    return sql("INSERT INTO learnhub.outbox (to_address, subject, body, $columns) VALUES (?, 'S', 'B', $values)",
        $address);
}
sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state IN ('waiting', 'sending')"); # left by other test files
mail('created_at, due_at', "now() - interval '2 hours', now() + interval '1 day'", $address{waiting});
mail('state', "'failed'", $address{failed});
my $mails = LearnHub::Mail->new->start;
$mails->behave(rcpt => { $address{bad} => '550 Nobody', $address{later} => '450 Later' });
my $smtp = $mails->url;

my $log = "$top/t/logs/metrics-$$.log";
my $watch = "SetHandler learnhub-metrics\n";
my $node = second_httpd(<<"CONF");
CustomLog "$log" "%U %m %{learnhub-route}n %>s %P"
LearnHubSMTP $smtp
LearnHubMailFrom learnhub\@house.example
LearnHubRate signup 2/1h
LearnHubRate mail 1/1h 1000/1m
<Location /metrics>
    $watch
</Location>
<Location /api/leaderboard>
    Require all denied
</Location>
CONF
my %to = (port => $node->port);

# A node whose database refuses connections: it counts as down after two seconds. Its paths have a prefix.
my $down = second_httpd(<<"CONF");
DBDParams "host=127.0.0.1 port=1 user=nobody connect_timeout=2"
LearnHubPrefix /learn
<Location /metrics>
    $watch
</Location>
<Location /learn/metrics>
    $watch
</Location>
CONF

# ---- reading ----

# The samples of a response: {'name{labels}' => value}. Dies if a line is neither a sample nor a comment.
sub samples {
    my ($text) = @_;
    my %found;
    for my $line (split /\n/, $text) {
        next if $line =~ /^# (?:(?:HELP|TYPE) \w+ \S|EOF$)/;
        $line =~ /^(\w+(?:\{[^}]*\})?) (-?\d+(?:\.\d+)?)$/ or die "no sample: $line";
        die "twice: $1" if exists $found{$1};
        $found{$1} = $2;
    }
    return \%found;
}

sub scrape { my (%with) = @_; return samples(api(GET => '/metrics', %to, %with)->body) }

# {'route method status' => count} of the requests that occurred.
sub counted {
    my ($samples) = @_;
    my %count;
    for my $name (grep {/^learnhub_http_requests_total/} keys %$samples) {
        my ($route, $status) = $name =~ /route="([^"]+)",method="\w+",status="(\d+)"/ or die $name;
        $count{"$route $status"} = $samples->{$name} if $samples->{$name};
    }
    return \%count;
}

# The same from the access log, and the processes that have served requests.
sub logged {
    my (%count, %pids);
    open my $in, '<', $log or return ({}, []);
    while (<$in>) {
        my ($path, $method, $route, $status, $pid) = split;
        next if $path =~ m{^/(?:metrics|server-status|elsewhere)};
        $route = $method eq 'OPTIONS' ? 'options' : 'none' if $route eq '-';
        $count{"$route $status"}++;
        $pids{$pid} = 1;
    }
    return (\%count, [sort keys %pids]);
}

# Whether the counts become those of the access log.
sub agrees {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($counted, $expected);
    my $same = eventually(sub {
            $counted = counted(scrape());
            ($expected) = logged();
            return join(' ', map {"$_ $counted->{$_}"} sort keys %$counted) eq
                join ' ', map {"$_ $expected->{$_}"} sort keys %$expected;
    });
    return ok($same, $name) || is_deeply($counted, $expected, "$name: the difference");
}

# ---- requests ----

my $user = signup();
my $problem = api_as($user, POST => '/problems/', json => { title => 'M', description => 'D', difficulty => 'easy' })
    ->json->{problem}{id};
my $tag = api(GET => "/problems/$problem", %to)->header('ETag');

# One request of each kind; the access log has their statuses.
sub requests {
    api(GET => "/problems/$problem", %to);
    api(GET => "/problems/$problem", %to, headers => { 'If-None-Match' => $tag });
    api(HEAD => "/problems/$problem", %to);
    api(GET => '/problems/' . 'f' x 24, %to);
    api(GET => '/problems/x/y/z', %to);
    api(DELETE => '/problems/', %to);
    api(GET => '/api/leaderboard/', %to);
    api(GET => '/users/me', %to);
    api_as($user, GET => '/users/me', %to);
    api_as($user, POST => '/problems/', %to, json => {});
    api_as($user, GET => '/api/codingsessions/', %to);
    api(OPTIONS => '/problems/', %to);
    api(OPTIONS => '/users/me', %to, headers => { Origin => 'http://x', 'Access-Control-Request-Method' => 'GET' });
    api(GET => '/elsewhere', %to);
    raw_http("GET /users/me HTTP/1.1\r\nHost: x\r\nNo Header: x\r\n\r\n", %to);
    return 1;
}

subtest 'every request counts once' => sub {
    parallel 8, sub { requests() for 1 .. 4; return 1 };
    agrees('the counts are those of the access log');
    my ($logged, $pids) = logged();
    cmp_ok(scalar @$pids, '>', 1, 'several processes have served them');
    my $counted = counted(scrape());
    my %expected = ('problems.get 304' => 32, 'problems.get 404' => 32, 'none 404' => 32, 'none 405' => 32,
        'none 403' => 32, 'none 400' => 32, 'users.me 401' => 32, 'users.me 200' => 32, 'problems.create 422' => 32,
        'coding.list 200' => 32, 'options 204' => 64, 'problems.get 200' => 65);
    is_deeply({ map { $_ => $counted->{$_} } keys %expected }, \%expected, 'by route and status');
    is_deeply([grep { !exists $expected{$_} } keys %$counted], [], 'and no others');
};

# The samples of a metric with some text in its labels.
sub of { my ($samples, $name, $with) = @_; return grep {/^\Q$name\E(?:\{.*\Q$with\E.*\})?$/} keys %$samples }

my $in_use = 'learnhub_database_connections{state="in_use"}';

# How many transactions have a lock of a table of the schema, or (granted => 0) wait for one.
sub locked {
    my ($table, $granted) = (@_, 1);
    return eventually(sub {
            (sql('SELECT count(*) AS n FROM pg_locks WHERE relation = ?::regclass AND granted = ? AND mode LIKE ?',
                    "learnhub.$table", $granted ? 't' : 'f', $granted ? 'AccessExclusive%' : '%'))[0]{n};
    });
}

# Locks a table until a request waits for it, and then 0.3 seconds; returns what the sub returns meanwhile.
sub lock_while {
    my ($table, $do) = @_;
    database()->begin_work;
    sql("LOCK TABLE learnhub.$table");
    locked($table, 0) or die 'no request waits';
    my $result = $do->();
    select undef, undef, undef, 0.3;
    database()->rollback;
    return $result;
}

subtest 'histograms' => sub {
    my $duration = 'learnhub_http_request_duration_seconds';
    my $samples = scrape();
    my (@wrong, $rows);
    for my $name (of($samples, "${duration}_count", 'route')) {
        my ($labels) = $name =~ /\{(.*)\}/;
        my @limits = sort { $a <=> $b } map {/^${duration}_bucket\{\Q$labels\E,le="([\d.]+)"/} keys %$samples;
        my @counts = map { $samples->{qq(${duration}_bucket{$labels,le="$_"})} } @limits, '+Inf';
        my $all = 0;
        $all += $samples->{$_} for of($samples, 'learnhub_http_requests_total', $labels);
        push @wrong, "$labels @limits" if "@limits" ne '0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 '
            . '5.0 10.0';
        push @wrong, "$labels @counts" if grep { $counts[$_] < $counts[$_ - 1] } 1 .. $#counts;
        push @wrong, "$labels $counts[-1]" if $counts[-1] != $samples->{$name} || $all != $samples->{$name};
        push @wrong, "$labels sum" if !$samples->{"${duration}_sum{$labels}"};
        $rows++;
    }
    cmp_ok($rows, '>', 5, 'there are histograms');
    is_deeply(\@wrong, [], 'they ascend to the number of requests');

    my ($sum) = of($samples, "${duration}_sum", 'route="xp.goals"');
    is($sum, undef, 'a route without requests has none');
    my @results = parallel 2, sub {
        return $_[0] ? locked('goals') && api_as($user, GET => '/api/v1/goals/', %to)->status : lock_while(
            'goals', sub { scrape()->{$in_use} });
    };
    ok(eventually(sub { scrape()->{$in_use} == 0 }), 'afterwards no connection is in use');
    like("@results", qr/^[1-9]\d* 200$/, 'a request waits for a lock and uses a connection');
    agrees('it counts');
    $samples = scrape();
    my %label = map { $_ => qq({api="xp",route="xp.goals",method="GET"$_}) } '', ',le="0.25"', ',le="+Inf"';
    cmp_ok($samples->{"${duration}_sum$label{''}"}, '>=', 0.3, 'its time');
    cmp_ok($samples->{"learnhub_http_request_database_seconds_total$label{''}"}, '>=', 0.3, 'spent on the database');
    is($samples->{"${duration}_bucket$label{',le=\"0.25\"'}"}, 0, 'is not in a bucket below');
    is($samples->{"${duration}_bucket$label{',le=\"+Inf\"'}"}, 1, 'but in one above');
};

# ---- restarts ----

# Scrapes until a file exists; returns the samples that have become smaller. Gauges may.
sub smaller {
    my ($until) = @_;
    my (%last, @smaller, $scrapes);
    while (!-e $until || ($scrapes // 0) < 5) {
        my $now = eval { samples(api(GET => '/metrics', %to, headers => { Connection => 'close' })->body) } || {};
        next if !%$now;
        push @smaller, grep { ($now->{$_} // 0) < $last{$_} && /_(?:total|bucket|sum|count|start_time_seconds)\b/ }
            keys %last;
        %last = %$now;
        $scrapes++;
    }
    return \@smaller;
}

subtest 'across restarts and killed processes' => sub {
    my ($before, $pids) = logged();
    my $started = scrape()->{learnhub_start_time_seconds};
    my $done = "$log.done";
    my @results = parallel 5, sub {
        return smaller($done) if !$_[0];
        if ($_[0] == 1) {
            $node->graceful;
            requests() for 1 .. 2;
            open my $out, '>', $done;
            return 1;
        }
        requests() for 1 .. 6;
        return 1;
    };
    is_deeply($results[0], [], 'no counter becomes smaller');
    LearnHub::Server->restarted;
    agrees('no request is lost by a graceful restart under load');
    my ($after, $all) = logged();
    cmp_ok(scalar @$all, '>', scalar @$pids, 'new processes have served requests');

    my ($victim) = grep { kill 0 => $_ } @$all;
    my $has_gauges = sub { my $s = scrape(); $s->{learnhub_processes} == 2 && $s };
    ok(eventually($has_gauges), 'two processes run');
    kill KILL => $victim;
    my $samples = eventually(sub { my $s = $has_gauges->(); $s && !kill(0 => $victim) && $s });
    ok($samples, 'one was killed, another one replaces it');
    requests() for 1 .. 3;
    agrees('no count is lost with it');
    is(scrape()->{learnhub_start_time_seconds}, $started, 'counted since the same time');
    ok(eventually(sub { my $s = scrape(); $s->{learnhub_database_connections_limit} == 14 }, 20),
        'the gauges are those of the processes that run');
};

subtest 'virtual hosts with different APIs' => sub {
    my $hosts = second_httpd(<<"CONF");
<Location /metrics>
    $watch
</Location>
<VirtualHost *:*>
    ServerName one.example
    LearnHubAPI tutoring
</VirtualHost>
<VirtualHost *:*>
    ServerName two.example
    LearnHubAPI xp practice
</VirtualHost>
CONF
    my $get = sub {
        my ($host, $times, @paths) = @_;
        my @at = (port => $hosts->port, headers => { Host => "$host.example" });
        return map { my $path = $_; map { api(GET => $path, @at)->status } 1 .. $times } @paths;
    };
    my @lists = qw(/api/sessions/ /api/v1/goals/ /problems/);
    my $all = sub { return counted(samples(api(GET => '/metrics', port => $hosts->port)->body)) };
    my @statuses = ($get->(one => 1, @lists), $get->(two => 2, @lists), $get->(one => 3, '/users/me'));
    is("@statuses", '401 404 404 404 404 401 401 200 200 401 401 401', 'each host has its APIs');
    my %expected = ('tutoring.list 401' => 1, 'xp.goals 401' => 2, 'problems.list 200' => 2, 'users.me 401' => 3);
    is_deeply(eventually(sub { my $c = $all->(); keys %$c == keys %expected && $c }), \%expected, 'and its counts');

    open my $in, '<', "$hosts->{files}.conf" or die $!;
    my $text = join '', <$in>;
    open my $out, '>', "$hosts->{files}.conf" or die $!;
    my %apis = ('tutoring' => 'coding xp', 'xp practice' => 'tutoring');
    print $out $text =~ s/LearnHubAPI \K(tutoring|xp practice)/$apis{$1}/gr;
    close $out or die $!;
    $hosts->graceful;
    is_deeply($all->(), \%expected, 'a restart that changes the APIs keeps the counts');
    $get->(one => 4, '/api/v1/goals/', '/api/codingsessions/', '/problems/');
    $get->(two => 8, @lists);
    $expected{'tutoring.list 401'} += 8;
    $expected{'xp.goals 401'} += 4;
    $expected{'coding.list 401'} = 4;
    is_deeply(eventually(sub { my $c = $all->(); ($c->{'tutoring.list 401'} // 0) > 8 && $c }), \%expected,
        'and requests after it count for their routes');
    $hosts->stop;
};

# ---- other metrics ----

subtest 'cache, limits, replays, mails' => sub {
    my $before = scrape();
    my $grown = sub { my ($name) = @_; return scrape()->{$name} - $before->{$name} };
    api(GET => "/problems/$problem", %to) for 1 .. 40;
    my %grown = map { $_ => $grown->(qq(learnhub_cache_lookups_total{result="$_"})) } qw(hit miss off);
    is($grown{hit} + $grown{miss} + $grown{off}, 40, 'every look-up of the cache counts');
    if ($ENV{LEARNHUB_CACHE} // 1) {
        cmp_ok($grown{hit}, '>', 30, 'most are hits');
        cmp_ok(scrape()->{learnhub_cache_bytes}, '>', 0, 'memory of the cache');
    }
    my @refused = ((map { api(POST => '/users/signup', %to, json => {})->status } 1 .. 4),
        map { api_as($user, POST => '/sessionrequest', %to, json => {})->status } 1 .. 4);
    is("@refused", '422 422 429 429 400 429 429 429', 'limits of an address and of an account');
    is($grown->('learnhub_rate_limited_total{by="network",class="signup"}'), 2, 'refused for an address');
    is($grown->('learnhub_rate_limited_total{by="account",class="mail"}'), 3, 'refused for an account');
    is($grown->('learnhub_rate_limited_total{by="network",class="mail"}'), 0, 'and not for its address');

    # A user's third search is refused as a search, also if the second is about to be refused as an expression.
    my ($expressions, $searches) = map {qq(learnhub_shares_refused_total{kind="$_"})} qw(expression search);
    my ($held, @refused_searches) = parallel 7, sub {
        return lock_while('problems', sub { eventually(sub { $grown->($expressions) }) }) if !$_[0];
        locked('problems');
        my @statuses;
        do { push @statuses, api_as($user, GET => '/problems/search/query?q=[ab].c', %to)->status }
            while $statuses[-1] == 422 && @statuses < 20;
        return scalar grep { $_ == 429 } @statuses;
    };
    my $refused = 0;
    $refused += $_ for @refused_searches;
    cmp_ok($grown->($expressions), '>', 0, 'too many expressions at once are refused');
    is($grown->($expressions) + $grown->($searches), $refused, 'and count');
    cmp_ok(scrape()->{learnhub_database_waits_total}, '>', 0, 'waits for connections');

    my %key = ('Idempotency-Key' => unique('key'));
    my %new = (title => 'M', description => 'D', difficulty => 'easy');
    api_as($user, POST => '/problems/', %to, json => \%new, headers => \%key) for 1 .. 3;
    is($grown->('learnhub_idempotent_replays_total'), 2, 'replays of an Idempotency-Key');

    my $samples = scrape();
    is($samples->{learnhub_schema_version}, $samples->{learnhub_schema_version_needed}, 'the version of the schema');
    cmp_ok($samples->{'learnhub_job_runs_total{task="outbox.send"}'}, '>', 0, 'runs of jobs');

    ok(eventually(sub { defined scrape()->{learnhub_outbox_waiting} }, 40), 'the outbox is measured');
    $samples = scrape();
    is($samples->{learnhub_outbox_waiting}, 1, 'a mail waits');
    cmp_ok($samples->{learnhub_outbox_oldest_seconds}, '>=', 7200, 'for two hours');
    cmp_ok($samples->{learnhub_outbox_failed}, '>=', 1, 'one has failed');
    mail('due_at', 'now()', $address{$_}) for qw(good bad later);
    my $outcomes = eventually(sub {
            my @counts = map { $grown->(qq(learnhub_mails_total{outcome="$_"})) } qw(sent failed retried);
            "@counts" =~ /^1 1 [1-9]/ && "@counts";
    }, 20);
    ok($outcomes, 'mails that were sent, failed, and are tried again');
    sql('DELETE FROM learnhub.outbox WHERE to_address = ANY (?)', [values %address]);
};

subtest 'a database that is down' => sub {
    my %path = (port => $down->port);
    my $samples = eventually(sub {
            my $s = samples(api(GET => '/metrics', %path)->body);
            $s->{learnhub_database_unavailable} == 2 && $s;
    }, 20);
    ok($samples, 'both processes count it as unavailable') or return;
    is($samples->{learnhub_schema_version}, 0, 'its version is not known');
    ok(!defined $samples->{learnhub_outbox_waiting}, 'its outbox is not measured');
    cmp_ok($samples->{'learnhub_database_connects_total{result="failed"}'}, '>', 2, 'attempts to connect');
    is(api(GET => '/learn/users/me', %path, token => $user->{token})->status, 503, 'requests fail');
    my $failed = eventually(sub {
            my $s = samples(api(GET => '/metrics', %path)->body);
            $s->{'learnhub_database_failures_total{cause="down"}'}
                && $s->{'learnhub_http_requests_total{api="users",route="users.me",method="GET",status="503"}'};
    });
    is($failed, 1, 'and count');
    like(api(GET => '/learn/metrics', %path)->body, qr/^learnhub_build_info\{/m, 'metrics below LearnHubPrefix');
    is(api(GET => '/learn/other', %path)->status, 404, 'other paths there are not found');
};

# ---- formats ----

# Runs promtool; returns its output if it reports anything.
sub promtool {
    my ($arguments, $input) = @_;
    my $file = "$log.in";
    open my $out, '>', $file or die $!;
    print $out $input // '';
    close $out or die $!;
    my $output = `cd '$top/conf/monitoring' && promtool $arguments <'$file' 2>&1`;
    return $? ? $output || 'failed' : $input ? $output : '';
}

subtest 'the formats of Prometheus and OpenMetrics' => sub {
    my $plain = api(GET => '/metrics', %to);
    is($plain->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8', 'the text format of Prometheus');
    is($plain->header('Cache-Control'), 'no-store', 'no cache stores it');
    is(promtool('check metrics', $plain->body), '', 'promtool check metrics has no remarks');
    my $open = api(GET => '/metrics', %to, headers => { Accept => 'application/openmetrics-text;version=1.0.0,*/*' });
    is($open->header('Content-Type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8', 'OpenMetrics');
    my %plain = ('application/openmetrics-text;q=0.1, text/plain' => 'text/plain is preferred', '*/*' => 'any type',
        'application/openmetrics-text;q=0' => 'OpenMetrics is refused');
    like(api(GET => '/metrics', %to, headers => { Accept => $_ })->header('Content-Type'), qr{^text/plain},
        "the text format if $plain{$_}") for sort keys %plain;
    like($open->body, qr/\n# EOF\n\z/, 'ends with # EOF');
    unlike($open->body, qr/^# \w+ \w+_total /m, 'its counters are named without _total in comments');
    is_deeply([sort keys %{ samples($open->body) }], [sort keys %{ samples($plain->body) }], 'the same samples');
    is(api(HEAD => '/metrics', %to)->body, '', 'HEAD has no body');
    my $post = api(POST => '/metrics', %to, json => {});
    like(join(' ', $post->status, sort split /\W+/, $post->header('Allow')), qr{^405 GET HEAD\b}, 'POST is 405');
};

# The start tags of HTML that have no end tag, and end tags without a start.
sub unbalanced {
    my ($html) = @_;
    my (@open, @wrong);
    while ($html =~ m{<(/?)(\w+)[^>]*?(/?)>}g) {
        next if $3 || $2 =~ /^(?:hr|br)$/;
        $1 ? (@open && $open[-1] eq $2 ? pop @open : push @wrong, "/$2") : push @open, $2;
    }
    return [@wrong, @open];
}

subtest 'mod_status' => sub {
    requests();
    agrees('the requests count');
    my $counted = counted(scrape());
    my ($auto, %of_route) = (api(GET => '/server-status?auto', %to)->body);
    $of_route{s/ .*//r} += $counted->{$_} for keys %$counted;
    my %shown = $auto =~ /^LearnHubRoute\[([\w.]+)\]Requests: (\d+)$/mg;
    is_deeply(\%shown, \%of_route, '?auto has the requests of every route');
    my %of_api = $auto =~ /^LearnHubAPI\[(\w+)\]Requests: (\d+)$/mg;
    is($of_api{practice}, eval { my $n = 0; $n += $of_route{$_} // 0 for grep {/^problems/} keys %of_route; $n },
        'and of every API');
    my %line = $auto =~ /^LearnHub(\S+): (\S+)$/mg;
    is($line{'Route[none]RecentClientErrors'}, $of_route{none}, 'errors of the last minutes');
    my @times = @line{ map {"Route[xp.goals]Recent${_}Ms"} qw(Mean P50 P90 P99 Database) };
    is_deeply([grep { $_ < 290 || $_ > 20000 } @times], [], 'times of the last minutes') || diag("@times");
    cmp_ok($line{'API[practice]RecentP50Ms'}, '<=', $line{'API[practice]RecentP99Ms'}, 'quantiles ascend');
    is_deeply([@line{qw(Processes DatabaseLimit DatabaseUnavailable SchemaVersion)}],
        [2, 14, 0, $line{SchemaVersionNeeded}], 'processes, connections, the schema');
    is_deeply([grep { !defined $line{$_} } qw(Version DatabaseInUse DatabaseIdle DatabaseWaiting CacheHits CacheMisses
                CacheBytes RateLimited SharesRefused OutboxWaiting OutboxFailed OutboxOldestSeconds)],
        [], 'further lines');

    my ($html) = api(GET => '/server-status', %to)->body =~ /(<hr \/>\s*<h2>LearnHub.*<\/table>)/s;
    is_deeply(unbalanced($html // ''), [], 'HTML: every element ends');
    like($html // '', qr{<tr><td>Route problems.get</td><td align="right">$of_route{'problems.get'}</td>}, 'a row');
    like(api(GET => '/server-status?notable', %to)->body, qr{<b>API practice</b>, requests: \d+}, 'without a table');
};

subtest 'off by default' => sub {
    unlike(api(GET => '/metrics')->body, qr/learnhub_/, 'a server without SetHandler has no metrics');
    my $off = second_httpd("LearnHub Off\n<Location /metrics>\n$watch</Location>\n", bare => 1);
    is(api(GET => '/metrics', port => $off->port)->status, 404, 'LearnHub Off: there are no metrics');
    unlike(api(GET => '/server-status?auto', port => $off->port)->body, qr/LearnHub/, 'and no section of mod_status');
    open my $in, '<', "$top/conf/quickstart/httpd.conf" or die $!;
    my %location = join('', <$in>) =~ m{<Location (\S+)>\n(.*?)</Location>}sg;
    like($location{$_}, qr/^\s*Require local$/m, "the quick start shows $_ to this machine only")
        for qw(/metrics /server-status);
};

subtest 'conf/monitoring and the list of metrics' => sub {
    is(promtool('check rules alerts.yml'), '', 'promtool check rules');
    is(promtool('test rules alerts.test.yml'), '', 'promtool test rules');
    is(promtool('check config prometheus.yml'), '', 'promtool check config');
    my %file = map { my $name = $_; open my $in, '<', "$top/conf/$name" or die $!; ($name => join '', <$in>) }
        qw(monitoring/alerts.yml monitoring/alerts.test.yml monitoring/grafana.json OPERATING.md);
    my ($plain, %exists) = (api(GET => '/metrics', %to)->body);
    my %type = $plain =~ /^# TYPE (\w+) (\w+)$/mg;
    $exists{$_} = 1 for map { $type{$_} eq 'histogram' ? ("${_}_bucket", "${_}_sum", "${_}_count") : $_ } keys %type;

    my $dashboard = JSON::XS->new->utf8->decode($file{'monitoring/grafana.json'});
    my @expressions = map { $_->{expr} } map { @{ $_->{targets} || [] } } @{ $dashboard->{panels} };
    cmp_ok(scalar @expressions, '>', 20, 'the dashboard has expressions');
    is_deeply([grep { !$exists{$_} } map {/\b(learnhub_\w+)/g} @expressions], [], 'of metrics that exist');
    my ($rules, $tests) = map {s/^\s*#.*//mgr} @file{qw(monitoring/alerts.yml monitoring/alerts.test.yml)};
    is_deeply([grep { !$exists{$_} } map {/\b(learnhub_\w+)/g} $rules, $tests], [], 'so have the alerts');
    my %tested = map { $_ => 1 } $tests =~ /alertname: (\w+)\n\s+exp_alerts:\n/g;
    is_deeply([sort keys %tested], [sort $rules =~ /- alert: (\w+)/g], 'each alert fires in a test');
    my @listed = sort $file{'OPERATING.md'} =~ /^\| `(learnhub_\w+)`/mg;
    is_deeply(\@listed, [sort keys %type], 'conf/OPERATING.md lists every metric, and no other');
};

done_testing;
