# SPDX-License-Identifier: Apache-2.0
# LearnHubRate: limits of each class per account and per address, their headers and formats. The gates of passwords,
# URLs and forms of many parts.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;
use LearnHub::Users;
use Time::HiRes ();

# mod_remoteip takes the client's address from X-Client, so that a test can have any address.
chomp(my $folder = `apxs -q libexecdir`);
my $log = "$top/t/logs/limits-$$.log";
my ($other, $off, $shared, $soon, $defaults) = map { LearnHub::Server->free_port } 1 .. 5;
my $server = second_httpd(<<"END" . join '', map {"Listen $_\n"} $other, $off, $shared, $soon, $defaults);
LoadModule remoteip_module "$folder/mod_remoteip.so"
RemoteIPHeader X-Client
RemoteIPInternalProxy 127.0.0.1
LogFormat "%>s %{learnhub-limit}n %P" limits
CustomLog "$log" limits
LearnHubCORS https://a.example
LearnHubRate signup 3/1h
LearnHubRate login 3/1h
LearnHubRate mail 3/1h 5/1h
LearnHubRate search 3/1h 5/1h
LearnHubRate write 3/1h 5/1h
LearnHubRate read 3/1h 5/1h
<VirtualHost *:$other>
    LearnHubRate search 1/1h
    LearnHubRate login Off
</VirtualHost>
<VirtualHost *:$off>
    LearnHubRate Off
</VirtualHost>
<VirtualHost *:$shared>
    LearnHubRate read 20/1h 50/1h
</VirtualHost>
<VirtualHost *:$soon>
    LearnHubRate read 1/3s
</VirtualHost>
<VirtualHost *:$defaults>
    LearnHubRate On
</VirtualHost>
END

my $serial = 0;

# An address that no other request of this test has.
sub address { return sprintf '10.%d.%d.%d', $$ % 250, int(++$serial / 250), $serial % 250 }

# The requests of each class, with a status below 500 that tells that they were not refused: with a token and without.
my %of_account = (
    mail => [POST => '/sessionrequest/', json => {}],
    search => [GET => '/api/admin/users/?page_size=1&q=x'],
    write => [POST => '/problems/', json => {}],
    read => [GET => '/users/me'],
);
my %of_nobody = (
    signup => [POST => '/users/signup', json => {}],
    login => [POST => '/users/login', form => {}],
    mail => [POST => '/auth/users/reset_password/', json => {}],
    search => [GET => '/problems/search/query?q=nothing'],
    write => [POST => '/users/refresh', json => {}],
    read => [GET => '/problems/?limit=1'],
);

# A request of a class from an address, with the token of a user or of nobody.
sub request {
    my ($class, $user, $from, %with) = @_;
    my ($method, $path, @body) = @{ $user ? $of_account{$class} : $of_nobody{$class} };
    my %headers = ('X-Client' => $from, %{ delete $with{headers} || {} });
    return api_as($user, $method, $path, port => $server->port, @body, %with, headers => \%headers);
}

# Whether each of these requests was refused, as text: "...x" is three that were not and one that was.
sub refusals { return join '', map { $_->status == 429 ? 'x' : $_->status < 500 ? '.' : '?' } @_ }

sub numbers { my ($reply) = @_; return [map { $reply->header("RateLimit-$_") } qw(Limit Remaining)] }

my @users = map { signup(role => 'admin') } 1 .. 6;
my ($ada, $bob) = @users;

subtest 'Limits per address' => sub {
    for my $class (sort keys %of_nobody) {
        my ($from, $limit) = (address(), $class =~ /signup|login/ ? 3 : 5);
        my @replies = map { request($class, undef, $from) } 1 .. $limit + 2;
        is(refusals(@replies), '.' x $limit . 'xx', "$class: $limit requests without a token are allowed");
        my $own = request($class, undef, address());
        isnt($own->status, 429, "$class: another address is not affected");
    }
};

subtest 'Limits per account' => sub {
    for my $class (sort keys %of_account) {
        is(refusals(map { request($class, $ada, address()) } 1 .. 5), '...xx',
            "$class: three requests from five addresses are allowed");
        isnt(request($class, $bob, address())->status, 429, "$class: another user is not affected");
    }
};

subtest 'Users behind one address' => sub {
    for my $class (sort keys %of_account) {
        my ($first, $second, @others) = map { signup(role => 'admin') } 1 .. 6;
        my $from = address();
        is(refusals(map { request($class, $first, $from) } 1 .. 20), '...' . 'x' x 17, "$class: one user is refused");
        is(refusals(map { request($class, $second, $from) } 1 .. 2), '..',
            "$class: refused requests do not count for the address");
        is(refusals(map { request($class, $_, $from) } @others), 'xxxx', "$class: the address has a limit, too");
        is(refusals(map { request($class, $_, address()) } @others), '....',
            "$class: requests that the address refused do not count for the accounts");
    }
};

subtest 'Networks' => sub {
    my $network = sprintf '2001:db8:%x:%x', $$ % 65536, time % 65536;
    is(refusals(map { request(read => undef, "${network}:0:$_:1:2:3" =~ s/:0:/:/r) } 1 .. 6), '.....x',
        'IPv6 addresses of one /64 share a limit');
    my @next = map {"2001:db8:ffff:$_\::1"} map { sprintf '%x', ($$ + $_) % 65536 } 1 .. 6;
    is(refusals(map { request(read => undef, $_) } @next), '......', 'those of six /64 do not');
    my $from = address();
    is(refusals(map { request(read => undef, $_) } ($from) x 5, "::ffff:$from"), '.....x',
        'an IPv4 address in IPv6 is the same address');
};

subtest 'Headers' => sub {
    my ($user, $from, $origin) = (signup(), address(), { Origin => 'https://a.example' });
    my @replies = map { request(write => $user, $from) } 1 .. 4;
    is_deeply([map { numbers($_) } @replies], [[3, 2], [3, 1], [3, 0], [3, 0]], 'the limit, and what remains of it');
    my @resets = map { $_->header('RateLimit-Reset') } @replies;
    ok($resets[0] > 1100 && $resets[0] <= 1200 && $resets[2] > 3500 && $resets[2] <= 3600,
        'RateLimit-Reset is the time until all requests are allowed again') || diag("@resets");
    my $wait = $replies[3]->header('Retry-After') // '';
    ok($wait =~ /^\d+$/ && $wait > 1100 && $wait <= 1200, 'Retry-After is the time until one is') || diag($wait);
    is($resets[3], $wait, 'then RateLimit-Reset is the same');
    is($replies[0]->header('Retry-After'), undef, 'a request that is allowed has no Retry-After');
    is($replies[3]->header('Cache-Control'), 'no-store', 'a 429 is not stored');
    my @others = map { signup() } 1 .. 2;
    is_deeply([map { numbers(request(write => $_, $from)) } @others], [[5, 1], [5, 0]],
        'the limit of the address, where fewer requests remain');
    my $first = request(read => $others[0], address());
    is_deeply(numbers($first), [undef, undef], 'a read that is allowed has no such headers');
    request(read => $others[0], address()) for 1 .. 2;
    is_deeply(numbers(request(read => $others[0], address())), [3, 0], 'one that is refused has them');
    my $exposed = request(read => $others[0], address(), headers => $origin);
    is($exposed->status, 429, 'a refused request of another origin');
    like($exposed->header('Access-Control-Expose-Headers'), qr/Retry-After.*RateLimit-Limit.*-Remaining.*-Reset/,
        'scripts can read all of them');
    my $preflight = api(OPTIONS => '/users/me', port => $server->port,
        headers => { %$origin, 'X-Client' => $from, 'Access-Control-Request-Method' => 'GET' });
    is($preflight->status, 204, 'a preflight does not count');
};

subtest 'Formats' => sub {
    my $from = address();
    request(signup => undef, $from) for 1 .. 3;
    my %signups = ('/users/signup' => 'located', '/auth/users/' => 'detail', '/api/auth/register/' => 'flat',
        '/api/users/' => 'envelope', '/api/v1/auth/register/' => 'detail');
    for my $path (sort keys %signups) {
        my $reply = api(POST => $path, port => $server->port, json => {}, headers => { 'X-Client' => $from });
        is_error($reply, $signups{$path}, 429, qr/too many requests/, "$path: all sign-ups share a limit");
    }
    my $user = signup();
    request(write => $user, address()) for 1 .. 3;
    my %writes = ('/availability/' => 'list', '/mentorinfo/' => 'detail', '/api/sessions/' => 'flat',
        '/api/codingsessions/' => 'envelope', '/api/v1/goals/' => 'detail', '/submissions/' => 'located');
    is_error(api_as($user, POST => $_, port => $server->port, json => {}, headers => { 'X-Client' => address() }),
        $writes{$_}, 429, qr/too many requests/, "$_: all changes share a limit")
        for sort keys %writes;
};

subtest 'A refused request costs little' => sub {
    my ($user, $from) = (signup(), address());
    request(write => $user, $from) for 1 .. 3;
    my $reply = raw_http("POST /problems/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $user->{token}\r\n"
            . "X-Client: $from\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
        port => $server->port, keep => 1, wait => 2);
    like($reply, qr{\AHTTP/1\.1 429 }, 'it is refused before its body is sent');
    request(read => undef, $from) for 1 .. 6;
    is(request(read => 'no token', $from)->status, 429, 'above the limit of the address, before the token is checked');
    my ($seen) = grep {/LH0075: LearnHubRate write: user ${\ user_id($user)}\b/} split /\n/, $server->log_text;
    like($seen // '', qr/\[learnhub:notice\].*\[client \Q$from\E:\d+\].* 1 refused/, 'it is logged, with its client');
    request(write => $user, $from) for 1 .. 10;
    my $lines = () = $server->log_text =~ /LH0075: LearnHubRate write: user ${\ user_id($user)}\b/g;
    is($lines, 1, 'once a minute');
    $lines = () = $server->log_text =~ /\[client \Q$from\E:.*LH0075: LearnHubRate read: this address/g;
    is($lines, 1, 'so is an address');
};

subtest 'Both processes share the counts, also after a graceful restart' => sub {
    my ($user, $from, @replies, $both);
    for (1 .. 10) { # until both processes take part
        my $lines = () = slurp($log) =~ /\n/g;
        ($user, $from) = (signup(), address());
        @replies = parallel 40, sub { return request(read => $user, $from, port => $shared) };
        my $seen = sub { my @all = split /\n/, slurp($log); return map { [split] } @all[$lines .. $#all] };
        eventually(sub { my @seen = $seen->(); @seen == 40 });
        my %pids = map { $_->[2] => 1 } $seen->();
        $both = keys %pids > 1;
        is(scalar(grep { $_->[0] eq '429' && $_->[1] eq 'read' } $seen->()), 20,
            'the access log has the class of refused requests');
        last if $both;
    }
    ok($both, 'two processes have answered');
    is(scalar(grep { $_->{status} == 200 } @replies), 20, '20 of 40 concurrent requests are allowed');
    $server->graceful;
    is(request(read => $user, $from, port => $shared)->status, 429, 'after a graceful restart, none is allowed');
    is(request(read => $bob, $from, port => $shared)->status, 200, 'another user is not affected');
};

sub slurp { my ($file) = @_; open my $in, '<', $file or return ''; local $/; return scalar <$in> }

subtest 'A bucket refills' => sub {
    my ($user, $from) = (signup(), address());
    my @replies = grep { $_->status == 429 } map { request(read => $user, $from, port => $soon) } 1 .. 5;
    ok(@replies > 0, 'a limit of one request in three seconds refuses');
    my $wait = $replies[-1]->header('Retry-After');
    ok($wait >= 1 && $wait <= 3, 'Retry-After is at most three seconds');
    Time::HiRes::sleep($wait);
    is(request(read => $user, $from, port => $soon)->status, 200, 'after this time a request is allowed');
};

subtest 'Virtual hosts' => sub {
    my ($user, $from) = (signup(role => 'admin'), address());
    is(refusals(map { request(search => $user, $from, port => $other) } 1 .. 3), '.xx', 'a host has its own limit');
    is(refusals(map { request(write => $user, address(), port => $other) } 1 .. 4), '...x', 'it inherits the others');
    is(refusals(map { request(login => undef, $from, port => $other) } 1 .. 8), '.' x 8, 'a class is Off');
    my @more = map { signup(role => 'admin') } 1 .. 10;
    is(refusals(map { request(search => $_, $from, port => $other) } @more), '.' x 9 . 'x',
        'by default an address has ten times the limit of an account');
    for my $class (sort keys %of_nobody) {
        is(refusals(map { request($class, undef, $from, port => $off) } 1 .. 8), '.' x 8, "$class: Off");
    }
    is_deeply(numbers(request(write => $user, $from, port => $off)), [undef, undef], 'Off: no headers');
    my %default = map { $_ => numbers(request($_, $user, $from, port => $defaults))->[0] } qw(mail search write);
    is_deeply(\%default, { mail => 300, search => 600, write => 1200 }, 'On: the defaults');
    %default = map { $_ => numbers(request($_, undef, $from, port => $defaults))->[0] } qw(signup login mail search);
    is_deeply(\%default, { signup => 600, login => 1200, mail => 3000, search => 1200 }, 'the defaults per address');
};

subtest 'A service acts for many users' => sub {
    my $service = signup(role => 'service');
    is(refusals(map { request(write => $service, address()) } 1 .. 6), '......', 'its account has no limit');
    my $from = address();
    is(refusals(map { request(write => $service, $from) } 1 .. 6), '.....x', 'its address has');
};

# ---- gates ----

# The uid and the token of a reset link for a user.
sub reset_link {
    my ($user) = @_;
    api(POST => '/auth/users/reset_password/', json => { email => $user->{email} });
    my $of_user = 'SELECT body FROM learnhub.outbox WHERE to_address = ? ORDER BY id DESC LIMIT 1';
    my $mail = eventually(sub { (sql($of_user, $user->{email}))[0] });
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/\s]+)/([0-9a-f]{40})\b};
    return (uid => $uid, token => $token);
}

subtest 'A flood of sign-ups does not refuse new passwords' => sub {
    my $narrow = second_httpd("StartServers 1\nServerLimit 1\nThreadsPerChild 32\nMaxRequestWorkers 32\n"
            . "LearnHubBcryptCost 11\nLearnHubConnectionWait 1s\nLearnHubRate Off");
    my ($changer, $forgetful) = map { signup() } 1 .. 2;
    my %link = reset_link($forgetful);
    my %new = (new_password => 'another good password');
    my $sign_up = sub {
        my %account = (username => unique('flood'), password => 'a good password', re_password => 'a good password');
        return api(POST => '/auth/users/', port => $narrow->port,
            json => { %account, email => "$account{username}\@example.com" })->status;
    };
    parallel(8, sub { api_as($changer, GET => '/users/me', port => $narrow->port)->status }); # opens connections
    my @results = parallel 22, sub {
        my ($i) = @_;
        my $until = Time::HiRes::time() + 3;
        if ($i < 20) {
            my %statuses;
            $statuses{ $sign_up->() }++ while Time::HiRes::time() < $until;
            return \%statuses;
        }
        Time::HiRes::sleep(1);
        my ($path, $user, %body) = $i == 20
            ? ('set_password', $changer, current_password => $changer->{password})
            : ('reset_password_confirm', undef, %link);
        return api_as($user, POST => "/auth/users/$path/", port => $narrow->port, json => { %new, %body });
    };
    my %flood;
    for my $statuses (@results[0 .. 19]) { $flood{$_} += $statuses->{$_} for keys %$statuses }
    ok($flood{503} && $flood{201}, 'some sign-ups of the flood are refused, others succeed') || diag(explain(\%flood));
    is($results[20]{status}, 204, 'a user with a token sets a new password meanwhile');
    is($results[21]{status}, 204, 'so does one with a link');
    $narrow->stop;
};

# ---- URLs and forms ----

# The sum of the peaks of the memory of a server's processes, in KB.
sub peak {
    my ($of) = @_;
    my $sum = 0;
    for my $file (glob '/proc/[0-9]*/status') {
        my $status = slurp($file);
        next if $status !~ /^PPid:\s+${\ $of->pid}$/m;
        $sum += $1 if $status =~ /^VmHWM:\s+(\d+)/m;
    }
    return $sum;
}

subtest 'URLs and forms of many parts' => sub {

    # Two threads: the first ten requests let both allocate what they keep.
    my $single = second_httpd("StartServers 1\nServerLimit 1\nThreadsPerChild 2\nMaxRequestWorkers 2\n");
    my $get = sub { my ($path) = @_; return api_as($ada, GET => $path, port => $single->port) };
    my $page = sub { return $get->("/api/sessions/?page_size=1$_[0]") };
    my $teacher = signup(role => 'instructor');
    my %session = (title => 'T', description => 'D', date => '2040-01-01T00:00:00Z', max_participants => 5);
    api_as($teacher, POST => '/api/sessions/', json => \%session) for 1 .. 3;
    $page->('&page=2') for 1 .. 10;
    my $before = peak($single);
    my $long = join '', map {"&p$_=x"} 1 .. 997;
    my $reply = $page->("$long&page=2");
    is($reply->status, 200, 'a query of 999 values is accepted') || diag($reply->summary);
    my ($base) = $reply->json->{next} =~ m{^(http://[^/]+)};
    is($reply->json->{next}, "$base/api/sessions/?page_size=1$long&page=3", 'the next page has all of them');
    is($reply->json->{previous}, "$base/api/sessions/?page_size=1$long", 'so has the previous one');
    cmp_ok(peak($single) - $before, '<', 2000, 'the request takes less than 2 MB');
    is_invalid($page->('&a' x 1000), 'flat', ['non_field_errors'], 'a query of 1001 values is rejected');
    is_invalid(api(POST => '/users/login', body => 'a&' x 1001, port => $single->port,
            headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }), 'located', ['body'],
        'so is a form');
    $before = peak($single);
    is_invalid(api(POST => '/users/login', body => '&' x 16000, port => $single->port,
            headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }), 'located', [qw(password username)],
        'empty values do not count');
    cmp_ok(peak($single) - $before, '<', 300, 'and take no memory');
    $single->stop;
};

done_testing;
