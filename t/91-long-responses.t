# SPDX-License-Identifier: Apache-2.0
# Responses of more than 64 KB: slow readers hold neither threads nor connections, the limits of LearnHubSpool, what
# happens beyond them, full disks, clients that leave, lost backends.
use strict;
use warnings;

use LearnHub::Stream;
use LearnHub::Test;

my $mine = '/sessions/user/my-sessions';

# Short socket buffers, so that a response waits for its reader.
my $short = "SendBufferSize 16384\n";

sub dechunked {
    my ($chunks) = @_;
    my $body = '';
    while ($chunks =~ /\G([0-9a-f]+)\r\n/gc) {
        $body .= substr $chunks, pos $chunks, hex $1;
        pos($chunks) += 2 + hex $1;
    }
    return $body;
}

# How a response was sent, if its body is $expected.
sub form_of {
    my ($expected, $status, $head, $body) = @_;
    return "status $status" if $status != 200;
    my $chunked = $head =~ /^Transfer-Encoding: chunked/m;
    return 'another body' if ($chunked ? dechunked($body) : $body) ne $expected;
    return 'in parts' if $chunked;
    return $head =~ /^Content-Length: (\d+)/m && $1 == length $expected ? 'with its length' : 'without its length';
}

sub tally { my %tally; $tally{$_}++ for @_; return \%tally }

# Waits until this number of files is open; returns their sizes in ascending order.
sub sizes_of_files {
    my ($server, $count) = @_;
    my $found = eventually(sub { my @files = spool_files($server); @files == $count && \@files });
    return [sort { $a <=> $b } map { $_->[1] } @{ $found || [spool_files($server)] }];
}

my ($author, @readers) = map { signup() } 1 .. 6;
fill($author, 4, 500);
fill($_, 4, 200) for @readers;
my $list = api_as($author, GET => $mine)->body;
my %list = map { $_->{email} => api_as($_, GET => $mine)->body } @readers;

subtest 'Slow readers hold neither threads nor connections' => sub {
    my $few = second_httpd(<<"CONF");
${short}ServerLimit 1
StartServers 1
ThreadsPerChild 6
MinSpareThreads 1
MaxSpareThreads 6
MaxRequestWorkers 6
AsyncRequestWorkerFactor 10
DBDMax 2
DBDKeep 2
<Location /metrics>
    SetHandler learnhub-metrics
</Location>
CONF
    my %with = (port => $few->port);
    sql("INSERT INTO learnhub.problems (title, description, difficulty, created_by)
        SELECT 'Wide', repeat('wide ', 12000), 'easy', ? FROM generate_series(1, 20)", user($author->{email})->{id});
    my $session = JSON::XS::decode_json($list)->[0]{id};
    my %expected = map { $_->[0] => api_as($_->[1], GET => $_->[0])->body }
        [$mine, $author], ["/sessions/$session", $author], ['/problems/?limit=20'];
    my @clients = map { [$_, slow_reader($_, /problems/ ? undef : $author, %with)] } (sort keys %expected) x 5;
    is(sizes_of_files($few, 15)->[-1], length $list, '15 responses are stored in files');
    is(api_as($readers[0], GET => "$mine?limit=1", %with)->status, 200, 'another request is served') for 1 .. 8;
    ok(stays_busy($few, 1), 'the 15 slow readers hold none of 6 threads');
    my $unused = qr/^learnhub_database_connections\{state="in_use"\} 0$/m; # jobs use connections for moments
    ok(eventually(sub { api(GET => '/metrics', %with)->body =~ $unused }, 3),
        'the slow readers hold no database connection');
    my @forms = map { form_of($expected{ $_->[0] }, rest_of($_->[1])) } @clients[0 .. 11];
    is_deeply(tally(@forms), { 'with its length' => 12 }, 'the slow readers receive the complete responses');
    close $_->[1] for @clients[12 .. 14];
    is_deeply(sizes_of_files($few, 0), [], 'no file is left when the clients have read or left');
    sql("DELETE FROM learnhub.problems WHERE title = 'Wide'");
    $few->stop;
};

subtest 'Lists of one user leave threads and connections to others' => sub {
    expect_log(qr/LH0004: sessions\.mine/);
    my $one = second_httpd("ServerLimit 1\nStartServers 1\nMaxRequestWorkers 32\nLearnHubStatementTimeout 3s\n");
    my %with = (port => $one->port);
    my $lock = database()->clone;
    $lock->begin_work;
    $lock->do('LOCK TABLE learnhub.practice_sessions IN ACCESS EXCLUSIVE MODE');
    my @statuses = parallel 20, sub { api_as($author, GET => $mine, %with)->status };
    $lock->rollback;
    $lock->disconnect;
    is(tally(@statuses)->{429}, 12, 'of 20 lists that one user reads at once, 12 get 429');
    my $again = tally(parallel 8, sub { api_as($author, GET => $mine, %with)->status });
    is_deeply($again, { 200 => 8 }, 'afterwards eight are read');
    $one->stop;
};

subtest 'HEAD, HTTP/1.0 and Range' => sub {
    my $head = api_as($author, HEAD => $mine);
    is_deeply([$head->status, $head->body, $head->header('Content-Length')], [200, '', length $list],
        'HEAD returns the length and no body');
    my $old = raw_http("GET $mine HTTP/1.0\r\nAuthorization: Bearer $author->{token}\r\n\r\n");
    is(form_of($list, 200, split /\r\n\r\n/, $old, 2), 'with its length', 'HTTP/1.0 gets the complete list');
    my $part = api_as($author, GET => $mine, headers => { Range => 'bytes=1000000-1000099' });
    is_deeply([$part->status, $part->body], [206, substr $list, 1_000_000, 100], 'Range returns a part');
};

subtest 'Beyond LearnHubSpool responses are sent while they are written, or rejected' => sub {
    my $log = "$top/t/logs/small-$$.log";
    my $small = second_httpd(<<"CONF");
${short}ServerLimit 1
StartServers 1
MaxRequestWorkers 32
LearnHubSpool 3670016
LogFormat "%s %{learnhub-route}n %{learnhub-db-us}n" small
CustomLog "$log" small
CONF
    my %with = (port => $small->port);
    my @own = map { slow_reader($mine, $author, %with) } 1 .. 2;
    ok(stays_busy($small, 3), 'responses beyond the share hold threads');
    my $third = api_as($author, GET => $mine, %with);
    is_error($third, 'located', 503, 'a user sends at most two responses beyond the share');
    is_deeply([map { $third->header($_) } qw(Retry-After Cache-Control)], [1, 'no-store'], 'the 503 has its headers');
    my @others = map { slow_reader($mine, $_, %with) } @readers[0 .. 2];
    my $stored = sub { scalar grep { $_->[1] == length $list{ $readers[0]{email} } } spool_files($small) };
    is(eventually(sub { $stored->() == 3 }), 1, 'shorter responses to other users are stored');
    my @forms = map { form_of($list, rest_of($_)) } @own; # the clients have five seconds
    is_deeply(tally(@forms), { 'in parts' => 2 }, 'responses above the share are complete');
    my $timed = sub { open my $in, '<', $log or return 0; return 2 == grep {/^200 sessions\.mine [1-9]\d*$/} <$in> };
    ok(eventually($timed), 'the access log has the time that they spent with the database');
    push @others, slow_reader($mine, $readers[3], %with);
    is(eventually(sub { $stored->() == 4 }), 1, 'their part of the spool is available again');
    ok(stays_busy($small, 1), 'stored responses hold no threads');
    my $more = slow_reader($mine, $readers[4], %with);
    ok(stays_busy($small, 2), 'a response beyond the total holds a thread');
    is(form_of($list{ $readers[4]{email} }, rest_of($more)), 'in parts', 'and is complete');
    @forms = map { form_of($list{ $readers[$_]{email} }, rest_of($others[$_])) } 0 .. 3;
    is_deeply(tally(@forms), { 'with its length' => 4 }, 'so are those of other users, until the spool is full');
    is(eventually(sub { api_as($author, GET => $mine, %with)->body eq $list }), 1,
        'the list is sent again after its readers have left');
    $small->stop;
};

subtest 'Readers beyond LearnHubSpool hold at most half of the connections' => sub {
    my $small = second_httpd(<<"CONF");
${short}ServerLimit 1
StartServers 1
MaxRequestWorkers 32
LearnHubSpool 1048576
CONF
    my %with = (port => $small->port);
    my @clients = map { slow_reader($mine, $_, %with) } (@readers) x 2;
    ok(stays_busy($small, 4), 'three of seven connections are held');
    is(api_as($author, GET => "$mine?skip=4", %with)->status, 200, 'others get connections') for 1 .. 8;
    my @status = map { (rest_of($_))[0] } @clients;
    is_deeply(tally(@status), { 200 => 3, 503 => 7 }, 'the other readers get 503');
    $small->stop;
};

subtest 'A full disk, and a directory that disappears' => sub {
    expect_log(qr/LH0064: sessions\.mine: the response cannot be spooled/, qr/LH0063: LearnHubSpool: no file can be/);
    my $directory = "$top/build/spool-$$";
    mkdir $directory or die $!;
    my %full = (port => second_httpd('', file_kb => 1000)->port);
    my $gone = second_httpd("LearnHubSpool 100000000 $directory\n");
    my %gone = (port => $gone->port);
    is(form_of($list, rest_of(slow_reader($mine, $author, %gone))), 'with its length', 'a directory is used');
    rmdir $directory or die $!;

    for my $case (['a full disk', %full], ['a missing directory', %gone]) {
        my ($name, %with) = @$case;
        is(form_of($list, rest_of(slow_reader($mine, $author, %with))), 'in parts', "$name: the list is complete");
    }
    my $locked = second_httpd("LearnHubSpool 100000000 /proc\n"); # where nobody can create a file
    is(form_of($list, rest_of(slow_reader($mine, $author, port => $locked->port))), 'in parts',
        'a directory without write access: the list is complete');
    ok(eventually(sub { $locked->log_text =~ m{LH0063: .*/proc} }), 'a child logs at start that it has none');
};

done_testing;
