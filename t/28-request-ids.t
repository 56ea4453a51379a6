# SPDX-License-Identifier: Apache-2.0
# The ids of requests in responses, error log, access log and transactions, and the access log in JSON.
use strict;
use warnings;
use lib 't/lib';
use LearnHub::Test;

my $user = signup();
chomp(my $folder = `apxs -q libexecdir`);
my $access = "$top/t/logs/access-$$.json";

# The formats as conf/OPERATING.md has them.
my $documentation = do { local (@ARGV, $/) = "$top/conf/OPERATING.md"; <> };
my ($json_format) = $documentation =~ /^    LogFormat ("\{.*?") learnhub-json$/ms or die 'no LogFormat in JSON';
my ($error_format) = $documentation =~ /^ +(ErrorLogFormat .*)$/m or die 'no ErrorLogFormat';
my $server = second_httpd(<<"END");
LoadModule unique_id_module "$folder/mod_unique_id.so"
LoadModule rewrite_module "$folder/mod_rewrite.so"
RewriteEngine On
<Files README.md>
    ForceType text/plain
</Files>
RewriteRule ^/problems/page\$ "$top/README.md" [L]
RewriteRule ^/denied\$ - [F]
ErrorDocument 403 /users/me
$error_format
LogLevel info learnhub:debug
LogFormat $json_format learnhub-json
CustomLog "$access" learnhub-json
LearnHubTraceStatements On
LearnHubCORS https://front.example
END

sub get {
    my ($path, %with) = @_;
    return api(GET => $path, port => $server->port, %with);
}

sub id_of { my ($reply) = @_; return $reply->header('X-Request-Id') // 'none' }

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = "00-$trace-00f067aa0ba902b7-01";

subtest 'each response has an id of its own' => sub {
    my %replies = (
        'a list' => get('/problems'),
        'the list from the cache' => get('/problems'),
        'an unknown path' => get('/problems/nowhere/at/all'),
        'no token' => get('/users/me'),
        'a wrong method' => api(PATCH => '/problems', port => $server->port),
        'a streamed list' => get('/mentor', token => $user->{token}),
        'OPTIONS' => api(OPTIONS => '/problems', port => $server->port),
        'an error of httpd' => get('/problems/%zz'),
        'an internal redirect' => get('/denied'),
        'HEAD' => api(HEAD => '/health', port => $server->port));
    my %seen;
    for my $of (sort keys %replies) {
        like(id_of($replies{$of}), qr/^[\w@-]{20,40}$/, $of);
        $seen{ id_of($replies{$of}) }++;
    }
    is(scalar keys %seen, scalar keys %replies, 'no two are equal');
    like(get('/health', headers => { Origin => 'https://front.example' })->header('Access-Control-Expose-Headers'),
        qr/\bX-Request-Id\b/, 'pages of other origins can read it');
    is(id_of(api(GET => '/health')), 'none', 'without mod_unique_id and traceparent there is none');
};

subtest 'traceparent' => sub {
    my $flags = '00f067aa0ba902b7-01';
    is(id_of(get('/health', headers => { traceparent => $parent })), $trace, 'its trace id is the id');
    is(id_of(api(GET => '/health', headers => { traceparent => $parent })), $trace, 'also without mod_unique_id');
    for my $path ('/nowhere', '/problems/page') {
        is(id_of(get($path, headers => { traceparent => $parent })), 'none', "not for another module: $path");
    }
    is(id_of(get('/health', headers => { traceparent => "cc-$trace-$flags-what" })), $trace, 'of a later version');
    my $upper = uc $trace;
    for my $invalid (
        '', $trace, "00-$trace", "00-$trace-$flags-", "ff-$trace-$flags", "00-$upper-$flags", "0-$trace-$flags",
        '00-' . '0' x 32 . "-$flags", "00-$trace-" . '0' x 16 . '-01', "00-${trace}a-$flags", "00-$trace-${flags}1",
        "00-$trace-00f067aa0ba902b-01", "000-$trace-$flags", "cc-$trace-${flags}what", "00_$trace-$flags",
        "00-${trace}_$flags", "00-$trace-00f067aa0ba902b7_01", "00-$trace-00f067aa0ba902b7-0g", "0g-$trace-$flags")
    {
        my $id = id_of(get('/health', headers => { traceparent => $invalid }));
        unlike($id, qr/^(?:none|$trace)$/i, "ignored: '$invalid'");
    }
};

subtest 'error log' => sub {
    my $before = length $server->log_text;
    my $id = id_of(get('/users/me', token => 'no-token'));
    my ($line) = grep {/LH0008/} split /\n/, substr $server->log_text, $before;
    like($line, qr/ \[\Q$id\E\] .*LH0008: token rejected/, 'a line has the id of its request');
    get('/users/me', token => 'no-token', headers => { traceparent => $parent });
    ($line) = grep { /LH0008/ && /\Q$trace\E/ } split /\n/, substr $server->log_text, $before;
    like($line, qr/ \[$trace\] .*LH0008/, 'or the trace id');
};

my $locked = q{SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
    AND relation = 'learnhub.problems'::regclass};
my $waiting = q{SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND relation = 'learnhub.problems'::regclass};

# The application_name of the transaction that the request waits in while another process has locked the table, and the
# status of the response.
sub name_during {
    my @request = @_;
    return parallel(2, sub {
            if (!$_[0]) {
                eventually(sub { sql($locked) });
                return api(@request, port => $server->port, headers => { traceparent => $parent })->status;
            }
            my $dbh = database();
            $dbh->begin_work;
            $dbh->do('LOCK TABLE learnhub.problems IN ACCESS EXCLUSIVE MODE');
            my $row = eventually(sub { sql('SELECT pg_stat_clear_snapshot()'); (sql($waiting))[0] });
            $dbh->rollback;
            return $row && $row->{application_name};
    });
}

subtest 'transactions' => sub {
    my %problem = (title => 'T', description => 'D', difficulty => 'easy');
    my $id = api_as($user, POST => '/problems', json => \%problem)->json->{problem}{id};
    is_deeply([name_during(GET => '/problems?limit=7')], [200, "request $trace"], 'a list');
    is_deeply([name_during(GET => "/problems/$id")], [200, "request $trace"], 'a short read');
    is_deeply([name_during(POST => '/problems', token => $user->{token}, json => \%problem)],
        [201, "request $trace"], 'a write');
    my ($left) = sql(q{SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE 'request %'});
    is($left->{n}, 0, 'afterwards the connections have their own name');
};

subtest 'access log in JSON' => sub {
    unlink $access;
    $server->graceful;
    my $path = qq(/problems?q="\\%22\xc3\xa4);
    my $agent = "\xe4\"\\";

    # A process of the old generation may still log to the old file.
    my $lines = eventually(sub {
            raw_http("GET $path HTTP/1.1\r\nHost: x\r\nUser-Agent: $agent\r\nConnection: close\r\n\r\n",
                port => $server->port);
            get('/users/me', token => $user->{token}, headers => { traceparent => $parent });
            get('/nowhere');
            open my $in, '<', $access or return;
            my @read = <$in>;
            return @read >= 3 && [@read[-3 .. -1]];
    });
    my @entries = map { JSON::XS->new->decode($_) } @$lines;
    is(scalar @entries, 3, 'each line is an object');
    my ($me) = grep { $_->{route} eq 'users.me' } @entries;
    is_deeply([@$me{qw(id method status user limit)}], [$trace, 'GET', 200, user($user->{email})->{id}, '-'],
        'of a request');
    like($me->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d{4}$/, 'time');
    like($me->{db_us}, qr/^[1-9]\d*$/, 'time with the database');
    my ($other) = grep { $_->{status} == 404 } @entries;
    is_deeply([@$other{qw(route user)}], ['-', '-'], 'of a request for another module');
};

done_testing();
