# SPDX-License-Identifier: Apache-2.0
# One's own account: /auth/users/me/, set_password, reset_password and its confirmation: contract.md section 5.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use Digest::SHA qw(sha256_hex);
use LearnHub::Test;
use Time::HiRes qw(time);

my $me = '/auth/users/me/';
my $confirm = '/auth/users/reset_password_confirm/';
my $fresh = 'a fresh good password';

sub call { my ($who, $method, $path, %body) = @_;
    return api($method => $path, token => ref $who ? $who->{token} : $who, %body ? (json => \%body) : ()) }
sub works { my ($who) = @_; return api(GET => '/users/me', token => ref $who ? $who->{token} : $who)->status }
sub log_in { my ($name, $password, %more) = @_;
    return api(POST => '/users/login', form => { username => $name, password => $password }, %more)->status }
sub opaque { my ($who) = @_; my %body = (username => $who->{email}, password => $who->{password});
    return 'Token ' . api(POST => '/auth/token/login/', json => \%body)->json->{auth_token} }
sub mails { my ($email) = @_; return sql('SELECT * FROM learnhub.outbox WHERE to_address = ? ORDER BY id', $email) }
sub ask { my ($email, %more) = @_; return api(POST => '/auth/users/reset_password/', json => { email => $email }, %more) }

# Another minute has passed.
sub later { my ($who, $interval) = @_;
    return sql('UPDATE learnhub.password_resets SET created_at = created_at - ?::interval WHERE user_id = ?',
        $interval || '61 seconds', user($who->{email})->{id}) }

sub link_in { my ($mail) = @_; my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/\s]+)/([0-9a-f]{40})\b};
    return (uid => $uid, token => $token) }
sub link_of { my ($who) = @_; ask($who->{email}); return link_in((mails($who->{email}))[-1]) }
sub choose { my (%body) = @_; return api(POST => $confirm, json => { new_password => $fresh, %body }) }

sub is_done { my ($reply, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == 204 && $reply->body eq '', "$name: 204") || diag($reply->summary) }

# A refusal with one sentence under one field.
sub is_wrong { my ($reply, $field, $like, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_invalid($reply, 'plain', [$field], $name);
    return like(eval { $reply->json->{$field}[0] } // '', $like, "$name: the sentence") }

# ---- GET and PATCH ----

my $ada = signup(first_name => 'Ada');
my $other = signup();
my $id = user($ada->{email})->{id};
my $reply = call($ada, GET => $me);
is($reply->status, 200, 'GET');
is_deeply($reply->json, { email => $ada->{email}, username => $ada->{email}, id => $id }, 'three keys');
is_deeply(call($ada, GET => '/auth/users/me')->json, $reply->json, 'without the last slash');
is(api(HEAD => $me, token => $ada->{token})->status, 200, 'HEAD');
my $name = unique('Ada');
$reply = call($ada, PATCH => $me, username => " $name ");
is_deeply([$reply->status, $reply->json], [200, { email => $ada->{email}, username => $name, id => $id }], 'PATCH of the username');
is(log_in(uc $name, $ada->{password}), 200, 'which logs in');
is(log_in($ada->{email}, $ada->{password}), 200, 'as the e-mail still does');
my $old = $ada->{email};
$ada->{email} = unique('Ada') . '@Example.com';
$reply = call($ada, PATCH => $me, email => $ada->{email});
is_deeply([$reply->status, $reply->json], [200, { email => $ada->{email}, username => $name, id => $id }], 'PATCH of the e-mail');
is_deeply([log_in($old, $ada->{password}), log_in(lc $ada->{email}, $ada->{password})], [401, 200], 'the old one no longer logs in');
is(works($ada), 200, 'the token goes on working');
is(call($ada, PATCH => $me)->status, 200, 'PATCH of nothing');
is_deeply(call($ada, PATCH => $me, id => 1, role => 'admin', is_active => false)->json, $reply->json, 'other fields are ignored');
is(user($ada->{email})->{role}, 'student', 'also the role');
is(call($ada, PATCH => $me, username => uc $name, email => uc $ada->{email})->status, 200, 'one may change the case of both');
call($ada, PATCH => $me, username => $name, email => $ada->{email});
my $taken = $other->{email};
is_wrong(call($ada, PATCH => $me, username => uc $taken), 'username', qr/already exists/, 'a username that is taken');
is_wrong(call($ada, PATCH => $me, email => uc $taken), 'email', qr/already exists/, 'an e-mail that is taken');
my $third = signup();
call($third, PATCH => $me, username => my $third_name = unique('third'));
is_invalid(call($ada, PATCH => $me, username => $third_name, email => $taken), 'plain', [qw(email username)], 'both at once');
is_wrong(call($ada, PATCH => $me, email => 'nonsense'), 'email', qr/\S/, 'no e-mail');
is_wrong(call($ada, PATCH => $me, username => ''), 'username', qr/\S/, 'an empty username');
is_wrong(call($ada, PATCH => $me, username => 'x' x 151), 'username', qr/\b150\b/, 'a long one');
is_wrong(call($ada, PATCH => $me, username => undef), 'username', qr/\S/, 'null');
is_invalid(call($ada, PATCH => $me, username => 5, email => 5), 'plain', [qw(email username)], 'numbers');
is_deeply(call($ada, GET => $me)->json, { email => $ada->{email}, username => $name, id => $id }, 'nothing of this changed it');
my $wanted = unique('wanted');
my @racers = map { signup() } 1 .. 6;
my @race = parallel(6, sub { return call($racers[$_[0]], PATCH => $me, username => $wanted)->status });
is_deeply([sort @race], [200, (400) x 5], 'six who want one name at the same instant: one has it');

# ---- set_password ----

my $set = '/auth/users/set_password/';
my $bea = signup(first_name => 'Beatrice', last_name => 'Portinari');
my @tokens = ($bea->{token}, opaque($bea), opaque($bea));
is_invalid(call($bea, POST => $set), 'plain', [qw(current_password new_password)], 'set_password needs both');
is_wrong(call($bea, POST => $set, current_password => 'wrong', new_password => $fresh), 'current_password', qr/^Invalid password\.$/,
    'a wrong current password');
is_wrong(call($bea, POST => $set, current_password => $bea->{password}, new_password => 'short'), 'new_password', qr/8 to 72/,
    'a short new one');
is_wrong(call($bea, POST => $set, current_password => $bea->{password}, new_password => '123456789'), 'new_password', qr/digits/,
    'digits only');
for my $own ($bea->{email}, uc $bea->{email}, 'Beatrice', 'beatrice portinari') {
    is_wrong(call($bea, POST => $set, current_password => $bea->{password}, new_password => $own), 'new_password', qr/name or e-mail/,
        "one's own: $own");
}
is_wrong(call($bea, POST => $set, current_password => $bea->{password}, new_password => $fresh, re_new_password => 'another'),
    'non_field_errors', qr/did not match/, 'a repetition that differs');
is_invalid(call($bea, POST => $set, current_password => $bea->{password}, new_password => 'short', re_new_password => 'other'),
    'plain', [qw(new_password non_field_errors)], 'all at once');
is_deeply([map { works($_) } @tokens], [(200) x 3], 'nothing has changed');
my %right = (current_password => $bea->{password}, new_password => $fresh, re_new_password => $fresh);
is_done(call($bea, POST => $set, %right), 'set_password');
is_deeply([map { works($_) } @tokens], [(401) x 3], 'all tokens of the account have ended');
is(api(POST => '/users/refresh', json => { refresh_token => $bea->{refresh} })->status, 401, 'the refresh token, too');
is_deeply([log_in($bea->{email}, $bea->{password}), log_in($bea->{email}, $fresh)], [401, 200], 'the new password logs in');
my $racer = signup();
@race = parallel(5, sub { return call($racer, POST => $set, current_password => $racer->{password},
    new_password => "choice number $_[0]")->status });
is(scalar(grep { $_ == 204 } @race), 1, 'five changes at the same instant: one is made') || diag("@race");
is(scalar(grep { $_ == 204 || $_ == 400 || $_ == 401 } @race), 5, 'the others are refused') || diag("@race");

# The throttle of log-ins counts here, too.
my $strict = second_httpd("LearnHubLoginThrottle 3/1m\n");
my $guessed = signup();
my @guesses = map { api(POST => $set, port => $strict->port, token => $guessed->{token}, from => '127.0.7.1',
    json => { current_password => 'wrong', new_password => $fresh })->status } 1 .. 4;
is_deeply(\@guesses, [400, 400, 400, 429], 'guesses of the current password are throttled');
is(log_in($guessed->{email}, $guessed->{password}, port => $strict->port, from => '127.0.7.2'), 429, 'with those of log-ins');
my $throttled = api(DELETE => $me, port => $strict->port, token => $guessed->{token}, from => '127.0.7.3',
    json => { current_password => $guessed->{password} });
is_refusal($throttled, 'plain', 429, 'and of deletions');
like($throttled->header('Retry-After') // '', qr/^[1-9]\d*$/, 'with Retry-After');
my %guess_link = link_of($guessed);
is_done(api(POST => $confirm, port => $strict->port, json => { %guess_link, new_password => $fresh }), 'a new password by mail');
is(log_in($guessed->{email}, $fresh, port => $strict->port, from => '127.0.7.4'), 200, 'ends the wait');
$strict->stop;

# ---- reset_password ----

my $cleo = signup(first_name => 'Cleo');
my $token = opaque($cleo);
is_invalid(api(POST => '/auth/users/reset_password/', json => {}), 'plain', ['email'], 'reset_password needs an e-mail');
is_wrong(ask('nonsense'), 'email', qr/\S/, 'that looks like one');
is_done(ask(unique('nobody') . '@example.com'), "nobody's address");
my $before = (sql('SELECT count(*) AS n FROM learnhub.outbox'))[0]{n};
is_done(ask(uc $cleo->{email}, headers => { Host => 'evil.example' }), "somebody's");
my ($mail, @more) = mails($cleo->{email});
is(scalar @more, 0, 'one mail');
is((sql('SELECT count(*) AS n FROM learnhub.outbox'))[0]{n}, $before + 1, 'and nobody else got one');
is_deeply([@$mail{qw(user_id to_name subject_ref state)}], [user($cleo->{email})->{id}, 'Cleo Person', 'password reset', 'waiting'], 'to its owner');
like($mail->{body}, qr{^http://localhost:\d+/password/reset/confirm/[0-9a-f-]{36}/[0-9a-f]{40}$}m, 'with a link to this server');
unlike($mail->{body}, qr/evil/, 'not to where the request said');
my %link = link_in($mail);
my ($kept) = sql(q(SELECT *, not_after = created_at + interval '1 hour' AS hour FROM learnhub.outbox WHERE id = ?), $mail->{id});
ok($kept->{hour}, 'it is not sent when the link has expired');
is((sql(q(SELECT encode(digest, 'hex') AS digest FROM learnhub.password_resets WHERE user_id = ?), $mail->{user_id}))[0]{digest},
    sha256_hex($link{token}), 'the database has the digest');
is_done(ask($cleo->{email}), 'asked again');
is(scalar(mails($cleo->{email})), 1, 'within a minute there is no second mail');
later($cleo);
is_deeply([parallel(6, sub { return ask($cleo->{email})->status })], [(204) x 6], 'six requests at the same instant');
is(scalar(mails($cleo->{email})), 2, 'after a minute: one mail');
for (1 .. 6) { later($cleo); ask($cleo->{email}) }
is(scalar(mails($cleo->{email})), 5, 'five in an hour');
later($cleo, '1 hour');
is(works($cleo), 200, 'nothing has changed for the owner');

# ---- reset_password_confirm ----

my %links = map { $_->{id} => {link_in($_)} } mails($cleo->{email});
is_wrong(choose(%link), 'token', qr/expired/, 'a link that is older than an hour');
later($cleo, '-30 minutes');
is(scalar(keys %links), 5, 'five links');
%link = %{ $links{ (sort { $b <=> $a } keys %links)[0] } };
later($cleo, '-3 hours');
is_invalid(api(POST => $confirm, json => {}), 'plain', [qw(new_password token uid)], 'three fields are needed');
my %foreign = link_of($other);
is_wrong(choose(%link, token => '0' x 40), 'token', qr/\S/, 'a wrong token');
is_wrong(choose(%link, token => 'é'), 'token', qr/\S/, 'an odd token');
is_wrong(choose(%link, uid => $foreign{uid}), 'token', qr/\S/, "another's uid");
is_wrong(choose(%link, uid => 'x'), 'token', qr/\S/, 'a wrong uid');
is_wrong(choose(%link, new_password => 'short'), 'new_password', qr/8 to 72/, 'a short password');
is_wrong(choose(%link, new_password => $cleo->{email}), 'new_password', qr/name or e-mail/, "one's own name");
is_wrong(choose(%link, re_new_password => 'other'), 'non_field_errors', qr/did not match/, 'a repetition that differs');
is(works($token), 200, 'all of that changed nothing');
my @used = parallel(6, sub { return choose(%link, uid => uc $link{uid}, new_password => "choice number $_[0]")->status });
is(scalar(grep { $_ == 204 } @used), 1, 'six uses of a link at the same instant: one works') || diag("@used");
is(scalar(grep { $_ == 400 } @used), 5, 'the others are refused');
my ($won) = grep { $used[$_] == 204 } 0 .. 5;
is_deeply([log_in($cleo->{email}, $cleo->{password}), log_in($cleo->{email}, "choice number $won")], [401, 200], 'the new password logs in');
is_deeply([works($cleo), works($token)], [401, 401], 'all tokens have ended');
is_wrong(choose(%link), 'token', qr/been used/, 'a link that was used');
is_wrong(choose(%{ $links{ (sort keys %links)[0] } }), 'token', qr/\S/, 'the other links have ended with the password');
is(scalar(grep { $_->{state} eq 'waiting' } mails($cleo->{email})), 0, 'and their mails with them');
is_done(choose(%foreign), "the other's own link");

my $dora = signup();
%link = link_of($dora);
call($dora, PATCH => $me, email => my $moved = unique('moved') . '@example.com');
is_wrong(choose(%link), 'token', qr/\S/, 'a link ends when the address changes');
$dora->{email} = $moved;
later($dora);
%link = link_of($dora);
sql('UPDATE learnhub.users SET is_active = false WHERE email = ?', $moved);
is_wrong(choose(%link), 'token', qr/\S/, 'and when the account is deactivated');
is_done(ask($moved), 'whose owner asks');
is(scalar(grep { $_->{state} eq 'waiting' } mails($moved)), 0, 'and gets no mail');
sql(q(INSERT INTO learnhub.outbox (to_address, subject, body, subject_ref) VALUES ('a@b.example', 's', 'secret link', 'password reset')));
sql(q(UPDATE learnhub.outbox SET state = 'sent' WHERE to_address = 'a@b.example'));
is((mails('a@b.example'))[0]{body}, '', 'a mail with a link that has left has lost its text');

my $front = second_httpd("LearnHubPasswordResetURL https://app.example/#/r?u={uid}&t={token}\n");
my $based = second_httpd("LearnHubPublicURL https://learn.example/api/\n");
for ([$front, qr{^https://app\.example/#/r\?u=[0-9a-f-]{36}&t=[0-9a-f]{40}$}m, 'LearnHubPasswordResetURL'],
    [$based, qr{^https://learn\.example/api/password/reset/confirm/[0-9a-f-]{36}/[0-9a-f]{40}$}m, 'LearnHubPublicURL']) {
    my ($server, $like, $directive) = @$_;
    my $person = signup();
    ask($person->{email}, port => $server->port);
    like((mails($person->{email}))[0]{body}, $like, "$directive leads the link");
    $server->stop;
}

# ---- DELETE ----

my $eva = signup(first_name => 'Eva', last_name => 'Braun-Miller', role => 'instructor');
$token = opaque($eva);
my $number = user($eva->{email})->{id};
sql("INSERT INTO learnhub.photos (user_id, name, media_type, content) VALUES (?, 'x', 'image/png', 'y')", $number);
sql("UPDATE learnhub.users SET phone_number = '+491', is_mentor = true, profile_photo = 'x' WHERE id = ?", $number);
my %session = (title => 'A session', description => 'of hers', date => '2099-01-01T10:00:00Z', max_participants => 5);
my $session = call($eva, POST => '/api/sessions/', %session)->json->{id};
sql('SELECT learnhub.post_mail(?, ?, ?)', $number, 'waits', 'for her');
is_invalid(call($eva, DELETE => $me), 'plain', ['current_password'], 'DELETE needs the password');
is_wrong(call($eva, DELETE => $me, current_password => 'wrong'), 'current_password', qr/^Invalid password\.$/, 'the right one');
is(works($eva), 200, 'nothing was deleted');
is_done(call($eva, DELETE => $me, current_password => $eva->{password}), 'DELETE');
is_deeply([works($eva), works($token)], [401, 401], 'the tokens have ended');
is(log_in($eva->{email}, $eva->{password}), 401, 'nobody logs in');
is(log_in("deleted-$number", '!'), 401, 'by no name');
is(api(POST => '/users/refresh', json => { refresh_token => $eva->{refresh} })->status, 401, 'nor by a refresh token');
my ($rest) = sql('SELECT * FROM learnhub.users WHERE id = ?', $number);
is_deeply([@$rest{qw(username email first_name last_name phone_number profile_photo is_mentor is_mentee is_active)}],
    ["deleted-$number", "deleted-$number\@deleted.invalid", '', '', undef, undef, 0, 0, 0], 'what is left says nothing');
ok($rest->{deleted_at}, 'but when it was');
unlike($rest->{password_hash}, qr/^\$2/, 'there is no password');
is(scalar(sql('SELECT 1 FROM learnhub.outbox WHERE user_id = ?', $number)), 0, 'her mails are gone');
is(scalar(sql('SELECT 1 FROM learnhub.photos WHERE user_id = ?', $number)), 0, 'and her photo');
my $admin = signup(role => 'admin');
my $list = api(GET => '/api/admin/users/', token => $admin->{token}, query => { q => "deleted-$number" })->json;
is_deeply([$list->{count}, $list->{results}], [0, []], 'admins do not see her');
is_refusal(call($admin, PATCH => "/api/admin/users/$number/", is_active => true), 'plain', 404, 'nor bring her back');
ok(!eval { sql('UPDATE learnhub.users SET is_active = true WHERE id = ?', $number); 1 }, 'nobody can');
is(call($admin, GET => "/api/sessions/$session/")->status, 200, 'her session is still there');
my $again = signup(email => $eva->{email});
isnt(user($again->{email})->{id}, $number, 'the address signs up anew');
is_deeply([ask("deleted-$number\@deleted.invalid")->status, scalar mails("deleted-$number\@deleted.invalid")], [204, 0],
    'the address that is left gets no mail');
my $squatter = signup();
my $victim = signup();
my $next = user($victim->{email})->{id};
is(call($squatter, PATCH => $me, username => "deleted-$next")->status, 200, 'somebody takes the name of a deleted account');
is_done(call($victim, DELETE => $me, current_password => $victim->{password}), 'that deletes itself nevertheless');
my $twice = signup();
@race = parallel(4, sub { return call($twice, DELETE => $me, current_password => $twice->{password})->status });
is(scalar(grep { $_ == 204 || $_ == 400 || $_ == 401 } @race), 4, 'four deletions at the same instant') || diag("@race");
is(works($squatter), 200, 'others go on');

# ---- who may ----

is_refusal(api($_->[0] => $_->[1], json => {}), 'plain', 401, "$_->[0] $_->[1] is for those who have logged in")
    for [GET => $me], [PATCH => $me], [DELETE => $me], [POST => $set];

done_testing;
