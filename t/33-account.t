# SPDX-License-Identifier: Apache-2.0
# The caller's own account: /auth/users/me/, set_password, reset_password and reset_password_confirm.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use LearnHub::Account;
use LearnHub::Test;

my $me = '/auth/users/me/';
my $set = '/auth/users/set_password/';
my $reset = '/auth/users/reset_password/';
my $confirm = '/auth/users/reset_password_confirm/';
my $new_password = 'a fresh good password';

# A request of a user with a JSON body of these fields, if any.
sub call {
    my ($user, $method, $path, %body) = @_;
    return api_as($user, $method, $path, %body ? (json => \%body) : ());
}

# A change of login names, with the password.
sub change {
    my ($user, %names) = @_;
    return call($user, PATCH => $me, current_password => $user->{password}, %names);
}

sub token_status { my ($user) = @_; return get_me($user)->status }
sub login_status { my ($name, $password, %with) = @_; return log_in($name, $password, %with)->status }
sub refresh_status { my ($user) = @_; return refresh($user->{refresh})->status }
sub opaque_of { my ($user) = @_; return 'Token ' . token_login(@$user{qw(email password)})->json->{auth_token} }

sub set_password {
    my ($user, %body) = @_;
    return call($user, POST => $set, current_password => $user->{password}, new_password => $new_password, %body);
}

sub request_reset { my ($email, %with) = @_; return api(POST => $reset, json => { email => $email }, %with) }
sub confirm_reset { my (%body) = @_; return api(POST => $confirm, json => { new_password => $new_password, %body }) }

# The reset mails to an address.
sub mails {
    my ($email) = @_;
    post_links();
    return sql(q(SELECT * FROM learnhub.outbox WHERE to_address = ? AND subject_ref = 'password reset' ORDER BY id),
        $email);
}
sub waiting_mails { my ($email) = @_; return scalar grep { $_->{state} eq 'waiting' } mails($email) }

# Moves a user's reset requests into the past, by default by 61 seconds.
sub age_resets {
    my ($user, $interval) = @_;
    my @moved = ($interval || '61 seconds', user($user->{email})->{id});
    sql('UPDATE learnhub.password_resets SET created_at = created_at - ?::interval WHERE user_id = ?', @moved);
    return sql(q(UPDATE learnhub.mail_requests SET created_at = created_at - ?::interval
        WHERE kind = 'reset' AND (user_id = ? OR address = ?)), @moved, lc $user->{email});
}

# The uid and token of the link in a mail.
sub link_in {
    my ($mail) = @_;
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/\s]+)/([0-9a-f]{40})\b};
    return (uid => $uid, token => $token);
}

sub new_link { my ($user) = @_; request_reset($user->{email}); return link_in((mails($user->{email}))[-1]) }

sub is_no_content {
    my ($reply, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == 204 && $reply->body eq '', "$name returns 204") || diag($reply->summary);
}

# Two assertions: only this field is rejected, and its message matches.
sub is_rejected {
    my ($reply, $field, $like, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_invalid($reply, 'detail', [$field], "$name is rejected");
    return like(eval { $reply->json->{$field}[0] } // '', $like, "$name: the message says why");
}

my $ada = signup(first_name => 'Ada');
my $other = signup();

subtest 'GET and PATCH /auth/users/me/' => sub {
    my $id = user($ada->{email})->{id};
    my $reply = call($ada, GET => $me);
    is($reply->status, 200, 'GET /auth/users/me/ returns 200');
    is_deeply($reply->json, { email => $ada->{email}, username => $ada->{email}, id => $id },
        'GET /auth/users/me/ returns three keys');
    is_deeply(call($ada, GET => '/auth/users/me')->json, $reply->json,
        '/auth/users/me works without its trailing slash');
    is(call($ada, HEAD => $me)->status, 200, 'HEAD /auth/users/me/ returns 200');
    my $name = unique('Ada');
    $reply = change($ada, username => " $name ");
    is_deeply([$reply->status, $reply->json], [200, { email => $ada->{email}, username => $name, id => $id }],
        'PATCH /auth/users/me/ trims and returns the new username');
    is(login_status(uc $name, $ada->{password}), 200, 'the new username logs in in any case');
    is(login_status($ada->{email}, $ada->{password}), 200,
        'the e-mail address still logs in after a change of username');
    my $old = $ada->{email};
    $ada->{email} = unique('Ada') . '@Example.com';
    $reply = change($ada, email => $ada->{email});
    is_deeply([$reply->status, $reply->json], [200, { email => $ada->{email}, username => $name, id => $id }],
        'PATCH /auth/users/me/ returns the new e-mail address');
    is_deeply([login_status($old, $ada->{password}), login_status(lc $ada->{email}, $ada->{password})], [401, 200],
        'only the new e-mail address logs in after a change');
    is(token_status($ada), 200, 'a token is still accepted after a change of the e-mail address');
    is(call($ada, PATCH => $me)->status, 200, 'PATCH /auth/users/me/ without fields returns 200');
    is_deeply(call($ada, PATCH => $me, id => 1, role => 'admin', is_active => false)->json, $reply->json,
        'PATCH /auth/users/me/ ignores other fields');
    is(user($ada->{email})->{role}, 'student', 'PATCH /auth/users/me/ does not change the role');
    is(change($ada, username => uc $name, email => uc $ada->{email})->status, 200,
        'a user can change the case of username and e-mail address');
    change($ada, username => $name, email => $ada->{email});

    my $taken = $other->{email};
    is_rejected(change($ada, username => uc $taken), 'username', qr/already exists/,
        "another user's username in another case");
    is_rejected(change($ada, email => uc $taken), 'email', qr/already exists/,
        "another user's e-mail address in another case");
    my $third = signup();
    change($third, username => my $third_name = unique('third'));
    is_invalid(change($ada, username => $third_name, email => $taken), 'detail', [qw(email username)],
        'username and e-mail address in use are reported together');
    is_rejected(call($ada, PATCH => $me, email => 'nonsense'), 'email', qr/\S/, 'a malformed e-mail address');
    is_rejected(call($ada, PATCH => $me, username => ''), 'username', qr/\S/, 'an empty username');
    is_rejected(call($ada, PATCH => $me, username => 'x' x 151), 'username', qr/\b150\b/,
        'a username of 151 characters');
    is_rejected(call($ada, PATCH => $me, username => undef), 'username', qr/\S/, 'null as username');
    is_invalid(call($ada, PATCH => $me, username => 5, email => 5), 'detail', [qw(email username)],
        'numbers as username and e-mail address are reported together');
    is_deeply(call($ada, GET => $me)->json, { email => $ada->{email}, username => $name, id => $id },
        'rejected changes of the account change nothing');
    my $wanted = unique('wanted');
    my @racers = map { signup() } 1 .. 6;
    my @statuses = parallel 6, sub { return change($racers[$_[0]], username => $wanted)->status };
    is_deeply([sort @statuses], [200, (400) x 5],
        'six users take one username concurrently: one returns 200, the others 400');
};

subtest 'POST /auth/users/set_password/' => sub {
    my $bea = signup(first_name => 'Beatrice', last_name => 'Portinari');
    my @tokens = ($bea->{token}, opaque_of($bea), opaque_of($bea));
    is_invalid(call($bea, POST => $set), 'detail', [qw(current_password new_password)],
        'set_password requires current_password and new_password');
    is_rejected(set_password($bea, current_password => 'wrong'), 'current_password', qr/^Invalid password\.$/,
        'set_password with a wrong current password');
    is_rejected(set_password($bea, new_password => 'short'), 'new_password', qr/8 to 72/,
        'set_password with a new password of 5 bytes');
    is_rejected(set_password($bea, new_password => '123456789'), 'new_password', qr/digits/,
        'set_password with a new password of digits');
    for my $own ($bea->{email}, uc $bea->{email}, 'Beatrice', 'beatrice portinari') {
        is_rejected(set_password($bea, new_password => $own), 'new_password', qr/name or e-mail/,
            "set_password with the user's own name or e-mail address '$own'");
    }
    is_rejected(set_password($bea, re_new_password => 'another'), 'non_field_errors', qr/did not match/,
        'set_password with a different re_new_password');
    is_invalid(set_password($bea, new_password => 'short', re_new_password => 'other'), 'detail',
        [qw(new_password non_field_errors)], 'an invalid and a different password are reported together');
    is_deeply([map { token_status($_) } @tokens], [(200) x 3], 'rejected changes of the password end no token');
    is_no_content(set_password($bea, re_new_password => $new_password), 'set_password');
    is_deeply([map { token_status($_) } @tokens], [(401) x 3], 'a change of the password ends all access tokens');
    is(refresh_status($bea), 401, 'a change of the password ends the refresh token');
    is_deeply([login_status($bea->{email}, $bea->{password}), login_status($bea->{email}, $new_password)], [401, 200],
        'only the new password logs in after a change');
    my $racer = signup();
    my @statuses = parallel 5, sub { return set_password($racer, new_password => "choice number $_[0]")->status };
    is(scalar(grep { $_ == 204 } @statuses), 1, 'of five concurrent changes of the password one returns 204')
        || diag("@statuses");
    is(scalar(grep { $_ == 204 || $_ == 400 || $_ == 401 } @statuses), 5,
        'five concurrent changes of the password return 204, 400 or 401') || diag("@statuses");
};

subtest 'login throttle for the current password' => sub {
    my $strict = second_httpd("LearnHubLoginThrottle 3/1m\n");
    my $user = signup();
    my %guess = (current_password => 'wrong', new_password => $new_password);
    my %first = (port => $strict->port, from => '127.0.7.1');
    my @statuses = map { api_as($user, POST => $set, json => \%guess, %first)->status } 1 .. 4;
    is_deeply(\@statuses, [400, 400, 400, 429], 'the fourth wrong current_password returns 429');
    is(login_status($user->{email}, $user->{password}, port => $strict->port, from => '127.0.7.2'), 429,
        'wrong values of current_password also throttle logins');
    my $deletion = api_as($user, DELETE => $me, port => $strict->port, from => '127.0.7.3',
        json => { current_password => $user->{password} });
    is_error($deletion, 'detail', 429, 'wrong values of current_password also throttle the deletion of the account');
    like($deletion->header('Retry-After') // '', qr/^[1-9]\d*$/, 'the 429 of a deletion has Retry-After');
    my %link = new_link($user);
    is_no_content(api(POST => $confirm, port => $strict->port, json => { %link, new_password => $new_password }),
        'reset_password_confirm for a throttled account');
    is(login_status($user->{email}, $new_password, port => $strict->port, from => '127.0.7.4'), 200,
        'a new password by mail ends the throttling');
    $strict->stop;
};

my $cleo = signup(first_name => 'Cleo');
my $token = opaque_of($cleo);
my %first_link;

subtest 'POST /auth/users/reset_password/' => sub {
    is_invalid(api(POST => $reset, json => {}), 'detail', ['email'], 'reset_password requires email');
    is_rejected(request_reset('nonsense'), 'email', qr/\S/, 'reset_password for a malformed address');
    is_no_content(request_reset(unique('nobody') . '@example.com'), 'reset_password for an unknown address');
    post_links();
    my $before = (sql('SELECT count(*) AS n FROM learnhub.outbox'))[0]{n};
    is_no_content(request_reset(uc $cleo->{email}, headers => { Host => 'evil.example' }),
        'reset_password for a known address in another case');
    my ($mail, @more) = mails($cleo->{email});
    is(scalar @more, 0, 'reset_password queues one mail for the user');
    is((sql('SELECT count(*) AS n FROM learnhub.outbox'))[0]{n}, $before + 1,
        'reset_password queues no mail for others');
    is_deeply([@$mail{qw(user_id to_name subject_ref state)}],
        [user($cleo->{email})->{id}, '', 'password reset', 'waiting'],
        'a reset mail is addressed to the user, without a name');
    like($mail->{body}, qr{^http://localhost:\d+/password/reset/confirm/[0-9a-f-]{36}/[0-9a-f]{40}$}m,
        'a reset mail has a link to this server');
    unlike($mail->{body}, qr/evil/, 'a reset link does not use the Host header of the request');
    %first_link = link_in($mail);
    my $expiry = q(SELECT not_after = created_at + interval '1 hour' AS hour FROM learnhub.outbox WHERE id = ?);
    my ($queued) = sql($expiry, $mail->{id});
    ok($queued->{hour}, 'a reset mail expires after an hour, with its link');
    my $digest = q(SELECT encode(digest, 'hex') AS digest FROM learnhub.password_resets WHERE user_id = ?);
    is((sql($digest, $mail->{user_id}))[0]{digest}, sha256_hex($first_link{token}),
        'the database stores the SHA-256 digest of the token of a link');
    is_no_content(request_reset($cleo->{email}), 'reset_password for the same address within a minute');
    is(scalar(mails($cleo->{email})), 1, 'a second reset request within a minute queues no mail');
    age_resets($cleo);
    is_deeply([parallel 6, sub { return request_reset($cleo->{email})->status }], [(204) x 6],
        'six concurrent reset requests return 204');
    is(scalar(mails($cleo->{email})), 2, 'six concurrent reset requests after a minute queue one mail');
    for (1 .. 6) { age_resets($cleo); request_reset($cleo->{email}) }
    is(scalar(mails($cleo->{email})), 5, 'at most five reset mails are queued within an hour');
    age_resets($cleo, '1 hour');
    is(token_status($cleo), 200, 'reset requests end no token');
};

subtest 'POST /auth/users/reset_password_confirm/' => sub {
    my %links = map { $_->{id} => { link_in($_) } } mails($cleo->{email});
    is_rejected(confirm_reset(%first_link), 'token', qr/expired/, 'a link that is older than an hour');
    age_resets($cleo, '-30 minutes');
    is(scalar(keys %links), 5, 'the five mails have links');
    my %link = %{ $links{ (sort { $b <=> $a } keys %links)[0] } };
    age_resets($cleo, '-3 hours');
    is_invalid(api(POST => $confirm, json => {}), 'detail', [qw(new_password token uid)],
        'reset_password_confirm requires uid, token and new_password');
    my %foreign = new_link($other);
    is_rejected(confirm_reset(%link, token => '0' x 40), 'token', qr/\S/, 'an unknown token');
    is_rejected(confirm_reset(%link, token => 'é'), 'token', qr/\S/, 'a malformed token');
    is_rejected(confirm_reset(%link, uid => $foreign{uid}), 'token', qr/\S/, "another user's uid");
    is_rejected(confirm_reset(%link, uid => 'x'), 'token', qr/\S/, 'a malformed uid');
    is_rejected(confirm_reset(%link, new_password => 'short'), 'new_password', qr/8 to 72/,
        'reset_password_confirm with a new password of 5 bytes');
    is_rejected(confirm_reset(%link, new_password => $cleo->{email}), 'new_password', qr/name or e-mail/,
        "reset_password_confirm with the user's own e-mail address as password");
    is_rejected(confirm_reset(%link, re_new_password => 'other'), 'non_field_errors', qr/did not match/,
        'reset_password_confirm with a different re_new_password');
    is(token_status($token), 200, 'rejected confirmations end no token');
    my @statuses = parallel 6, sub {
        return confirm_reset(%link, uid => uc $link{uid}, new_password => "choice number $_[0]")->status;
    };
    is(scalar(grep { $_ == 204 } @statuses), 1, 'of six concurrent uses of a link one returns 204')
        || diag("@statuses");
    is(scalar(grep { $_ == 400 } @statuses), 5, 'of six concurrent uses of a link five return 400');
    my ($used) = grep { $statuses[$_] == 204 } 0 .. 5;
    is_deeply([login_status($cleo->{email}, $cleo->{password}), login_status($cleo->{email}, "choice number $used")],
        [401, 200], 'only the new password logs in after a reset');
    is_deeply([token_status($cleo), token_status($token)], [401, 401], 'a reset ends all tokens of the user');
    is_rejected(confirm_reset(%link), 'token', qr/been used/, 'a used link');
    is_rejected(confirm_reset(%{ $links{ (sort keys %links)[0] } }), 'token', qr/\S/,
        'an earlier link of the user after a reset');
    is(waiting_mails($cleo->{email}), 0, 'a reset cancels the waiting mails with links');
    is_no_content(confirm_reset(%foreign), "another user's link after the reset");
};

subtest 'invalidation of a reset link' => sub {
    my $dora = signup();
    my %link = new_link($dora);
    change($dora, email => my $moved = unique('moved') . '@example.com');
    is_rejected(confirm_reset(%link), 'token', qr/\S/, 'a link from before a change of the e-mail address');
    $dora->{email} = $moved;
    age_resets($dora);
    %link = new_link($dora);
    sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $moved);
    is_rejected(confirm_reset(%link), 'token', qr/\S/, 'a link of a deactivated account');
    is_no_content(request_reset($moved), 'reset_password for a deactivated account');
    is(waiting_mails($moved), 0, 'reset_password queues no mail for a deactivated account');
    sql(q(INSERT INTO learnhub.outbox (to_address, subject, body, subject_ref)
        VALUES ('a@b.example', 's', 'secret link', 'password reset')));
    sql(q(UPDATE learnhub.outbox SET state = 'sent' WHERE to_address = 'a@b.example'));
    is((mails('a@b.example'))[0]{body}, '', 'the body of a reset mail is erased when it has been sent');
};

subtest 'URL of a reset link' => sub {
    my %url = (
        'LearnHubPasswordResetURL https://app.example/#/r?u={uid}&t={token}' =>
            qr{^https://app\.example/#/r\?u=[0-9a-f-]{36}&t=[0-9a-f]{40}$}m,
        'LearnHubPublicURL https://learn.example/api/' =>
            qr{^https://learn\.example/api/password/reset/confirm/[0-9a-f-]{36}/[0-9a-f]{40}$}m,
    );
    for my $directive (sort keys %url) {
        my $server = second_httpd("$directive\n");
        my $user = signup();
        request_reset($user->{email}, port => $server->port);
        like((mails($user->{email}))[0]{body}, $url{$directive}, "$directive sets the URL of the link");
        $server->stop;
    }
};

subtest 'DELETE /auth/users/me/' => sub {
    my $eva = signup(first_name => 'Eva', last_name => 'Braun-Miller', role => 'instructor');
    my $opaque = opaque_of($eva);
    my $id = user($eva->{email})->{id};
    sql("INSERT INTO learnhub.photos (user_id, name, media_type, content) VALUES (?, 'x', 'image/png', 'y')", $id);
    sql("UPDATE learnhub.users SET phone_number = '+491', is_mentor = true, profile_photo = 'x' WHERE id = ?", $id);
    my %session = (title => 'T', description => 'D', date => '2099-01-01T10:00:00Z', max_participants => 5);
    my $session = call($eva, POST => '/api/sessions/', %session)->json->{id};
    sql('SELECT learnhub.post_mail(?, ?, ?)', $id, 'subject', 'body');
    is_invalid(call($eva, DELETE => $me), 'detail', ['current_password'],
        'DELETE /auth/users/me/ requires current_password');
    is_rejected(call($eva, DELETE => $me, current_password => 'wrong'), 'current_password', qr/^Invalid password\.$/,
        'DELETE /auth/users/me/ with a wrong password');
    is(token_status($eva), 200, 'a rejected deletion deletes nothing');
    is_no_content(call($eva, DELETE => $me, current_password => $eva->{password}), 'DELETE /auth/users/me/');
    is_deeply([token_status($eva), token_status($opaque)], [401, 401],
        'the deletion of an account ends all of its tokens');
    is(login_status($eva->{email}, $eva->{password}), 401, 'a deleted account cannot log in');
    is(login_status("deleted-$id", '!'), 401, 'the placeholder username of a deleted account cannot log in');
    is(refresh_status($eva), 401, 'the deletion of an account ends its refresh token');
    my ($left) = sql('SELECT * FROM learnhub.users WHERE id = ?', $id);
    my @personal = qw(username email first_name last_name phone_number profile_photo is_mentor is_mentee is_active);
    is_deeply([@$left{@personal}],
        ["deleted-$id", "deleted-$id\@deleted.invalid", '', '', undef, undef, 0, 0, 0],
        'the row of a deleted account is anonymous');
    ok($left->{deleted_at}, 'the row of a deleted account has deleted_at');
    unlike($left->{password_hash}, qr/^\$2/, 'the row of a deleted account has no bcrypt hash');
    is(scalar(sql('SELECT 1 FROM learnhub.outbox WHERE user_id = ?', $id)), 0,
        'the deletion of an account removes its mails');
    is(scalar(sql('SELECT 1 FROM learnhub.photos WHERE user_id = ?', $id)), 0,
        'the deletion of an account removes its photo');
    my $admin = signup(role => 'admin');
    my $list = call($admin, GET => "/api/admin/users/?q=deleted-$id")->json;
    is_deeply([$list->{count}, $list->{results}], [0, []], 'the admin list contains no deleted accounts');
    is_error(call($admin, PATCH => "/api/admin/users/$id/", is_active => true), 'detail', 404,
        'an admin cannot reactivate a deleted account');
    ok(!eval { sql('UPDATE learnhub.users SET is_active = true WHERE id = ?', $id); 1 },
        'the database rejects the reactivation of a deleted account');
    is(call($admin, GET => "/api/sessions/$session/")->status, 200, 'tutoring sessions of a deleted account remain');
    my $again = signup(email => $eva->{email});
    isnt(user($again->{email})->{id}, $id, 'the e-mail address of a deleted account can sign up again');
    my $placeholder = "deleted-$id\@deleted.invalid";
    is_deeply([request_reset($placeholder)->status, scalar mails($placeholder)], [204, 0],
        'the placeholder address of a deleted account gets no mail');
};

subtest 'DELETE /auth/users/me/ with a taken placeholder username, and concurrently' => sub {
    my $holder = signup();
    my $leaver = signup();
    my $next = user($leaver->{email})->{id};
    is(change($holder, username => "deleted-$next")->status, 200,
        'a user can take the placeholder username of an existing account');
    is_no_content(call($leaver, DELETE => $me, current_password => $leaver->{password}),
        'DELETE /auth/users/me/ of an account whose placeholder username is taken');
    my $twice = signup();
    my %password = (current_password => $twice->{password});
    my @statuses = parallel 4, sub { return call($twice, DELETE => $me, %password)->status };
    is(scalar(grep { $_ == 204 || $_ == 400 || $_ == 401 } @statuses), 4,
        'four concurrent deletions return 204, 400 or 401') || diag("@statuses");
    is(token_status($holder), 200, 'deletions do not affect other accounts');
};

# Deletes the account of a user in a transaction that is committed when another transaction waits for it.
sub delete_slowly {
    my ($id) = @_;
    database()->begin_work;
    sql('SELECT learnhub.delete_account(?)', $id);
    sql('SELECT pg_advisory_xact_lock(?)', $id); # tells the other process that the account is locked
    my $waits = 'SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))';
    my $waited = eventually(sub { scalar sql($waits) });
    database()->commit;
    return $waited;
}

# The personal data that are stored for a user.
sub data_of {
    my ($id) = @_;
    return map { $_->{value} } sql("SELECT concat(first_name, phone_number, profile_photo) AS value
            FROM learnhub.users WHERE id = \$1 AND concat(first_name, phone_number, profile_photo) <> ''
        UNION ALL SELECT name FROM learnhub.photos WHERE user_id = \$1
        UNION ALL SELECT github_username FROM learnhub.coding_profiles WHERE user_id = \$1
        UNION ALL SELECT description FROM learnhub.eco_activities WHERE user_id = \$1
        UNION ALL SELECT name FROM learnhub.activity_photos WHERE user_id = \$1", $id);
}

subtest 'requests that wait for the deletion of the account' => sub {
    my $gif = [undef, 'a.gif', Content => "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"];
    my %walk = (duration => '01:00:00', description => 'private');
    my @requests = (
        [PATCH => '/myprofile/', multipart => [first_name => 'x', phone_number => '+12345678', profile_photo => $gif]],
        [PATCH => '/api/profiles/me/', multipart => [github_username => 'x', profile_pic => $gif]],
        [POST => '/api/activities/', multipart => [%walk, activity => 'hiking', verification_proof => $gif]],
        [POST => '/api/ecoactivities/', json => { %walk, kind => 'hiking' }],
    );
    for my $request (@requests) {
        my $leaver = signup();
        my $id = user($leaver->{email})->{id};
        my ($waited, $status) = parallel 2, sub {
            return delete_slowly($id) if !$_[0];
            eventually(sub { scalar sql(q(SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ?), $id) });
            return api_as($leaver, @$request)->status;
        };
        is_deeply([$waited, $status], [1, 404], "@$request[0, 1] waits for the deletion and returns 404");
        is_deeply([data_of($id)], [], "@$request[0, 1] stores nothing after the deletion");
    }
};

subtest 'authorization' => sub {
    is_error(api($_->[0] => $_->[1], json => {}), 'detail', 401, "$_->[0] $_->[1] requires a token")
        for [GET => $me], [PATCH => $me], [DELETE => $me], [POST => $set];
};

done_testing;
