# SPDX-License-Identifier: Apache-2.0
# The login throttle: concurrent attempts, accounts and addresses, known networks, the hourly limit, the audit log.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;

chomp(my $folder = `apxs -q libexecdir`);
my $proxy = qq(LoadModule remoteip_module "$folder/mod_remoteip.so"\nRemoteIPHeader X-Forwarded-For\n)
    . "RemoteIPInternalProxy 127.0.0.0/8\n";
my $server = second_httpd("LearnHubLoginThrottle 3/1m 8/1m\n$proxy");
my $set = '/auth/users/set_password/';
my ($next_address, $next_network) = (0, 0);

# Documentation addresses (RFC 5737, RFC 3849).
sub address { return '192.0.2.' . ++$next_address }
sub network { return sprintf '2001:db8:0:%x', ++$next_network }

# The status of a login at $server by a client with this address.
sub from {
    my ($address, $name, $password, %with) = @_;
    return log_in($name, $password, port => $server->port, headers => { 'X-Forwarded-For' => $address }, %with);
}

sub status_from { return from(@_)->status }
sub guess_from { my ($address, $name) = @_; return status_from($address, $name, 'a wrong guess') }
sub right_from { my ($address, $user) = @_; return status_from($address, @$user{qw(email password)}) }

# A new user who has never logged in. The fields of signup(), and account: users.id.
sub newcomer {
    my %user = (first_name => 'New', last_name => 'Comer', email => unique('new') . '@example.com',
        password => 'a good password');
    api(POST => '/users/signup', json => \%user)->status == 201 or die 'signup';
    return { %user, account => user($user{email})->{id} };
}

# Guesses from three addresses, which lock the account for networks that it does not know.
sub lock_account {
    my ($user) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([map { guess_from(address(), $user->{email}) } 1 .. 4], [401, 401, 401, 429],
        'three wrong passwords from three addresses lock the account');
}

sub failures { my ($key) = @_; return sql('SELECT * FROM learnhub.login_failures WHERE key = ?', $key) }

subtest 'concurrent attempts' => sub {
    my $strict = second_httpd("LearnHubLoginThrottle 10/1m 1000/1m\n");
    my $user = newcomer();

    # 503: too many threads wait for the verification; such a request was not counted.
    my @statuses = parallel 80, sub {
        my $status = 503;
        for (1 .. 200) {
            $status = log_in($user->{email}, "wrong guess $_[0]", port => $strict->port, from => '127.0.8.30')->status;
            last if $status != 503;
            Time::HiRes::sleep(0.02 + rand 0.1);
        }
        return $status;
    };
    my %count;
    $count{$_}++ for @statuses;
    is_deeply(\%count, { 401 => 10, 429 => 70 }, 'of 80 concurrent wrong passwords 10 are verified');
    is((failures("user $user->{account}"))[0]{failures}, 80, 'all 80 are counted');
    is((failures('address 127.0.8.30'))[0]{failures}, 10, 'a rejected attempt is not counted for its address');
    is(log_in(@$user{qw(email password)}, port => $strict->port)->status, 429,
        'then the right password is rejected, too');
    $strict->stop;
};

subtest 'accounts and addresses' => sub {
    my ($ada, $bea) = (newcomer(), newcomer());
    my $school = address();
    is_deeply([map { guess_from($school, $ada->{email}) } 1 .. 6], [401, 401, 401, 429, 429, 429],
        'an account is locked after three wrong passwords');
    is_deeply([map { right_from($school, $bea) } 1 .. 10], [(200) x 10],
        'other accounts log in at the same address; successful attempts do not count');
    is((failures("address $school"))[0]{failures}, 3, 'only the failed attempts are left');
    is_deeply([map { guess_from($school, unique('nobody')) } 1 .. 6], [(401) x 5, 429],
        'an address is locked after eight failures');
    my $locked = from($school, @$bea{qw(email password)});
    is_error($locked, 'detail', 429, 'the right password of another account is rejected there');
    like($locked->header('Retry-After') // '', qr/^(?:[1-9]|[1-5]\d|60)$/, 'Retry-After has the seconds');
    is(right_from(address(), $bea), 200, 'the account logs in at another address');
    my $token = log_in(@$bea{qw(email password)})->json->{access_token};
    my %change = (current_password => $bea->{password}, new_password => 'another fine phrase');
    my $other = address();
    guess_from($other, unique('nobody')) for 1 .. 7;
    is(api_as($token, POST => $set, json => \%change, port => $server->port,
            headers => { 'X-Forwarded-For' => $other })->status, 204,
        'failed logins with other names, below the limit of the address, do not affect a change of the password');
};

subtest 'IPv6 addresses' => sub {
    my ($one, $two) = (network(), network());
    is_deeply([map { guess_from("${one}::$_", unique('nobody')) } 1 .. 9], [(401) x 8, 429],
        'all addresses of a /64 network count as one');
    is(guess_from("${two}::1", unique('nobody')), 401, 'those of another network do not');
};

subtest 'known networks' => sub {
    my $user = newcomer();
    my ($home, $cafe) = (network(), address());
    is(right_from("${home}::1", $user), 200, 'the user logs in at home');
    is(right_from($cafe, $user), 200, 'and in a cafe');
    sql(q(UPDATE learnhub.known_networks SET used_at = now() - interval '91 days' WHERE network = ?), $cafe);
    lock_account($user);
    is(right_from(address(), $user), 429, 'the right password is rejected at an unknown address');
    is(right_from($cafe, $user), 429, 'and where the last login was 91 days ago');
    my %change = (current_password => $user->{password}, new_password => $user->{password} . '!');
    my $token = from("${home}::2", @$user{qw(email password)})->json->{access_token};
    ok($token, 'it is accepted at home');
    lock_account($user);
    is(api_as($token, POST => $set, json => \%change, port => $server->port,
            headers => { 'X-Forwarded-For' => address() })->status, 429, 'so is a change of the password elsewhere');
    is(api_as($token, POST => $set, json => \%change, port => $server->port,
            headers => { 'X-Forwarded-For' => "${home}::4" })->status, 204, 'but not at home');
    $user->{password} = $change{new_password};
    is_deeply([map { guess_from("${home}::$_", $user->{email}) } 1 .. 4], [401, 401, 401, 429],
        'a known network has its own limit');
    is(right_from("${home}::1", $user), 429, 'then the right password is rejected there');
    is(right_from(address(), $user), 200, 'but not elsewhere');
    is(right_from("${home}::1", $user), 429, 'which does not end the lock at home');
};

subtest 'stored networks' => sub {
    my $user = newcomer();
    is_deeply([map { right_from("198.51.100.$_", $user) } 1 .. 23], [(200) x 23], 'logins from 23 addresses');
    my @stored = map { $_->{network} }
        sql('SELECT network FROM learnhub.known_networks WHERE user_id = ? ORDER BY used_at', $user->{account});
    is_deeply(\@stored, [map {"198.51.100.$_"} 4 .. 23], 'the last 20 are stored');
    sql(q(UPDATE learnhub.known_networks SET used_at = now() - interval '91 days' WHERE user_id = ?), $user->{account});
    right_from(address(), newcomer());
    is((sql('SELECT count(*) AS n FROM learnhub.known_networks WHERE user_id = ?', $user->{account}))[0]{n}, 10,
        'each new network deletes up to ten that were not used for 90 days');
    is(right_from('198.51.100.23', $user), 200, 'a login renews a network');
    my $token = from('198.51.100.23', @$user{qw(email password)})->json->{access_token};
    is(api_as($token, DELETE => '/auth/users/me/', json => { current_password => $user->{password} })->status, 204,
        'the account is deleted');
    is(scalar(sql('SELECT 1 FROM learnhub.known_networks WHERE user_id = ?', $user->{account})), 0,
        'which deletes its networks');
};

# The statuses of this many logins with a wrong password at the test server, which allows 1000 in a minute.
sub many { my ($n, $name, $from) = @_; return map { log_in($name, "guess $_", from => $from)->status } 1 .. $n }

subtest 'the hourly limit' => sub {
    my ($user, $nobody) = (newcomer(), unique('nobody'));
    my @right = @$user{qw(email password)};
    is_deeply([many(49, $user->{email}, '127.0.8.1')], [(401) x 49], '49 wrong passwords from unknown networks');
    is(log_in(@right, from => '127.0.8.2')->status, 200, 'the right password is accepted, and gives its attempt back');
    is_deeply([many(2, $user->{email}, '127.0.8.3')], [401, 429], 'but an hour has 50 attempts');
    my $rejected = log_in(@right, from => '127.0.8.4');
    is($rejected->status, 429, 'then the right password is rejected');
    my $wait = $rejected->header('Retry-After') // 0;
    ok($wait > 3400 && $wait <= 3600, 'Retry-After: when the first of the attempts is an hour old') || diag($wait);
    is_deeply([many(26, $user->{email}, '127.0.8.2')], [(401) x 25, 429], 'and 25 from a known network');
    sql('INSERT INTO learnhub.known_networks (user_id, network) VALUES (?, ?)', $user->{account}, $_)

        for '127.0.8.6', '127.0.8.7';
    is(log_in(@right, from => '127.0.8.6')->status, 200, 'the right password is accepted at another known network');
    is_deeply([many(26, $user->{email}, '127.0.8.6')], [(401) x 25, 429], 'which has 25 more');
    is_deeply([many(1, $user->{email}, '127.0.8.7')], [429], 'but all known networks have 50 together');
    sql(q(UPDATE learnhub.login_failures SET recent[1:2] = ARRAY[now() - interval '1 hour', now() - interval '1 hour']
        WHERE key = ?), "user $user->{account}");
    is_deeply([many(3, $user->{email}, '127.0.8.1')], [401, 401, 429], 'each attempt counts for one hour');
    is_deeply([many(51, $nobody, '127.0.8.5')], [(401) x 50, 429], 'the same holds for a name that nobody has');
};

subtest 'a new password' => sub {
    my $user = newcomer();
    my $home = address();
    right_from($home, $user);
    lock_account($user);
    guess_from($home, $user->{email}) for 1 .. 3;
    is_deeply([map { right_from($_, $user) } $home, address()], [429, 429], 'the account is locked everywhere');
    my $hash = user($user->{email})->{password_hash};
    sql(q(UPDATE learnhub.users SET password_hash = '!' WHERE id = ?), $user->{account});
    sql('UPDATE learnhub.users SET password_hash = ? WHERE id = ?', $hash, $user->{account});
    is_deeply([map { right_from($_, $user) } $home, address()], [200, 200], 'a new password ends the locks');
};

subtest 'audit log and error log' => sub {
    my $user = newcomer();
    my $name = unique('secretname');
    my ($here, $there) = (address(), address());
    guess_from($here, $user->{email}) for 1 .. 6;
    guess_from($there, $name) for 1 .. 6;
    my @entries = sql('SELECT event, user_id, actor_id, address, detail FROM learnhub.audit_log '
            . 'WHERE address IN (?, ?) ORDER BY id', $here, $there);
    my %entry = (user_id => $user->{account}, actor_id => undef, address => $here, detail => '');
    my @expected = ((map { { %entry, event => 'login_failed' } } 1 .. 3),
        { %entry, event => 'login_throttled', detail => 'account' });
    is_deeply(\@entries, [@expected, map { { %$_, user_id => undef, address => $there } } @expected],
        'each failure has an entry, and the first rejection in a minute');
    sql(q(UPDATE learnhub.login_failures SET noted_at = noted_at - interval '1 minute' WHERE key = ?),
        "user $user->{account}");
    guess_from($here, $user->{email}) for 1 .. 2;
    is(scalar(sql(q(SELECT 1 FROM learnhub.audit_log WHERE address = ? AND event = 'login_throttled'), $here)), 2,
        'the next entry follows after a minute');
    my $log = $server->log_text;
    my @lines = $log =~ /^.*LH008[01].* account $user->{account}$/mg;
    is(scalar @lines, 5, 'the error log has a line for each entry');
    is(scalar(grep {/:notice\].*\[client \Q$here\E/} @lines), 5, 'with the level notice and the client');
    like($log, qr/LH0080: failed login: unknown name$/m, 'also of unknown names');
    unlike($log, qr/\Q$user->{email}\E|\Q$name\E/, 'but never the name that was sent');
    my $token = log_in(@$user{qw(email password)}, from => '127.0.8.9')->json->{access_token};
    api_as($token, POST => $set, json => { current_password => 'wrong', new_password => 'another fine phrase' },
        from => '127.0.8.9');
    is_deeply([sql('SELECT event, user_id, actor_id FROM learnhub.audit_log WHERE address = ?', '127.0.8.9')],
        [{ event => 'login_failed', user_id => $user->{account}, actor_id => $user->{account} }],
        'a wrong current password is an entry as well, with the caller');
};

subtest 'what is left in the database' => sub {
    my $user = newcomer();
    my $address = address();
    right_from($address, $user) for 1 .. 3;
    is_deeply([map { failures($_) } "address $address", "user $user->{account}", "known $user->{account}"], [],
        'successful logins leave no counts');
    sql('INSERT INTO learnhub.login_failures (key, failures, since) '
            . "SELECT 'name old ' || n, 1, now() - interval '121 minutes' FROM generate_series(1, 12) n");
    guess_from($address, $user->{email});
    is((sql(q(SELECT count(*) AS n FROM learnhub.login_failures WHERE key LIKE 'name old %')))[0]{n}, 2,
        'a failed login deletes up to ten counts that have expired');
};

subtest 'LearnHubLoginThrottle Off' => sub {
    my $off = second_httpd("LearnHubLoginThrottle Off\n");
    my $user = newcomer();
    my %from = (port => $off->port, from => '127.0.8.20');
    is_deeply([map { log_in($user->{email}, "guess $_", %from)->status } 1 .. 55], [(401) x 55], 'nothing is rejected');
    is(log_in(@$user{qw(email password)}, %from)->status, 200, 'the right password is accepted');
    is(scalar(failures("user $user->{account}")), 0, 'nothing is counted');
    is((sql('SELECT count(*) AS n FROM learnhub.audit_log WHERE address = ?', '127.0.8.20'))[0]{n}, 55,
        'the audit log has the failures all the same');
    $off->stop;
};

done_testing;
