# SPDX-License-Identifier: Apache-2.0
# Common passwords, password hashes of other kinds and costs, and the characters of usernames.
use strict;
use warnings;
use utf8;
use lib 't/lib';
use LearnHub::Account;
use LearnHub::Test;

# ---- common passwords ----

my $list = "$top/t/logs/common-passwords.txt";
open my $out, '>', $list or die "$list: $!";
print $out "# a comment\nshort\nTulips and Roses\r\nmarzipan kartoffel\n";
close $out or die "$list: $!";
my $listed = second_httpd(qq(LearnHubPasswordList "$list"\n));
my $debian = '/usr/lib/python3/dist-packages/django/contrib/auth/common-passwords.txt.gz';
my $reset = '/auth/users/reset_password/';

# A change of login names, with the password.
sub rename_to {
    my ($user, $path, %names) = @_;
    return api_as($user, PATCH => $path, json => { %names, current_password => $user->{password} });
}

sub sign_up {
    my ($password, %with) = @_;
    my %fields = (first_name => 'Some', last_name => 'Body', email => unique('some') . '@example.com');
    return api(POST => '/users/signup', json => { %fields, password => $password }, %with);
}

# The link of a password reset, for reset_password_confirm.
sub link_for {
    my ($user) = @_;
    api(POST => $reset, json => { email => $user->{email} });
    post_links() or die 'no mail';
    my ($mail) = sql('SELECT body FROM learnhub.outbox WHERE to_address = ? ORDER BY id DESC', $user->{email});
    my ($uid, $token) = $mail->{body} =~ m{/password/reset/confirm/([^/\s]+)/([0-9a-f]{40})\b};
    return (uid => $uid, token => $token);
}

subtest 'common passwords' => sub {
    is_error(sign_up($_), 'located', 422, qr/^The password must not be one that many people use\.$/,
        "a sign-up with '$_' is rejected")
        for qw(password PASSWORD password1 P4ssw0rd! 12welcome12 abcdefgh hgfedcba qwertyui aaaaaaaa 1q2w3e4r
        learnhub1), ' ' x 8;
    my $user = signup();
    my %new = (new_password => 'passw0rd', current_password => $user->{password});
    is_invalid(api_as($user, POST => '/auth/users/set_password/', json => \%new), 'detail', ['new_password'],
        'set_password rejects them');
    is_invalid(api(POST => '/auth/users/reset_password_confirm/', json => { link_for($user), %new }), 'detail',
        ['new_password'], 'reset_password_confirm rejects them');
    my $name = unique('name');
    my %fields = (username => $name, email => "$name\@example.com", password => 'sunshine1', re_password => 'sunshine1',
        confirm_password => 'sunshine1');
    is_invalid(api(POST => $_->[0], json => \%fields), $_->[1], ['password'], "$_->[0] rejects them")
        for ['/auth/users/', 'detail'], ['/api/auth/register/', 'flat'], ['/api/users/', 'envelope'],
        ['/api/v1/auth/register/', 'detail'];
};

subtest 'LearnHubPasswordList' => sub {
    my %at = (port => $listed->port);
    is(sign_up($_, %at)->status, 422, "a password of the list is rejected: $_")
        for 'tulips and roses', 'TULIPS AND ROSES', 'Marzipan Kartoffel';
    is(sign_up($_, %at)->status, 201, "another one is accepted: $_") for '# a comment', 'tulips and rose';
    is(sign_up('tulips and roses')->status, 201, 'no list is used by default');
    is(sign_up('password1', %at)->status, 422, 'what is always rejected need not be in the list');
    my $usual = second_httpd("LearnHubPasswordList $debian\n");
    is(sign_up($_, port => $usual->port)->status, 422, "a password of Debian's list is rejected: $_")

        for qw(steelers taekwondo JesusLoves);
    is(sign_up($_, port => $usual->port)->status, 201, "another one is accepted: $_")
        for 'a good password', 'correct horse', 'learn together';
    $usual->stop;
};

# ---- hashes ----

my $secret = 'correct horse';
my %hash = (
    'bcrypt $2y$ of another cost' => '$2y$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC',
    'bcrypt $2a$' => '$2a$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2',
    'bcrypt $2b$' => '$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2',
    'PBKDF2 of Django' => 'pbkdf2_sha256$1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=',
);

# As an import of accounts would.
sub set_hash {
    my ($user, $hash) = @_;
    return sql('UPDATE learnhub.users SET rehash = ? WHERE email = ?', $hash, $user->{email});
}

sub hash_of { my ($user) = @_; return user($user->{email})->{password_hash} }
sub log_in_as { my ($user, $password) = @_; return log_in($user->{email}, $password)->status }

subtest 'hashes of other kinds and costs' => sub {
    for my $kind (sort keys %hash) {
        my $user = signup();
        my $opaque = 'Token ' . token_login(@$user{qw(email password)})->json->{auth_token};
        my %link = link_for($user);
        my $before = user($user->{email});
        set_hash($user, $hash{$kind});
        is(log_in_as($user, 'Correct horse'), 401, "$kind: a wrong password is rejected");
        is(hash_of($user), $hash{$kind}, "$kind: which changes nothing");
        is(log_in_as($user, $secret), 200, "$kind: the right password is accepted");
        my $after = user($user->{email});
        like($after->{password_hash}, qr/^\$2y\$04\$/, "$kind: then the hash is bcrypt of LearnHubBcryptCost");
        is_deeply({ %$after, password_hash => 0 }, { %$before, password_hash => 0 }, "$kind: nothing else has changed");
        is_deeply([map { get_me($_)->status } $user, $opaque], [200, 200], "$kind: all tokens are still accepted");
        is(refresh($user->{refresh})->status, 200, "$kind: so is the refresh token");
        is_deeply([log_in_as($user, $secret), hash_of($user)], [200, $after->{password_hash}],
            "$kind: the new hash is kept");
        my %reset = (json => { %link, new_password => 'a new phrase' });
        is(api(POST => '/auth/users/reset_password_confirm/', %reset)->status, 204,
            "$kind: a reset link is still valid");
    }
    my $user = signup();
    set_hash($user, $_), is(log_in_as($user, $secret), 401, "a hash that never matches: $_")
        for '!', '!x', $secret, 'pbkdf2_sha256$2000001$aSalt$' . 'A' x 43 . '=', '$2y$04$short', '$1$x$y';
};

subtest 'a hash that has changed is not replaced' => sub {
    my $user = signup();
    my $id = user($user->{email})->{id};
    my $current = hash_of($user);
    sql('SELECT count(*) FROM learnhub.login_succeeded(?, ?, false, ?, ?)', $id, '192.0.2.200',
        'an older hash', '$2y$04$new');
    is(hash_of($user), $current, 'the hash of an older password is not stored');
    sql('SELECT count(*) FROM learnhub.login_succeeded(?, ?, false, ?, ?)', $id, '192.0.2.200', $current, 'another');
    is(hash_of($user), 'another', 'that of the same password is');
    is(user($user->{email})->{rehash}, undef, 'the column rehash stays empty');
    is(get_me($user)->status, 200, 'and tokens are accepted');
};

# ---- usernames ----

my %invisible = (
    'a zero-width space' => "a\x{200B}b", 'a zero-width joiner' => "a\x{200D}b", 'a byte order mark' => "a\x{FEFF}b",
    'a right-to-left override' => "a\x{202E}b", 'an isolate' => "a\x{2067}b", 'a word joiner' => "a\x{2060}b",
    'a soft hyphen' => "a\x{AD}b", 'an Arabic letter mark' => "a\x{61C}b", 'a C1 control' => "a\x{85}b",
    'a line separator' => "a\x{2028}b", 'a tag' => "a\x{E0041}b", 'a variation selector' => "a\x{FE0F}b",
    'a Mongolian vowel separator' => "a\x{180E}b",
);
my $change = '/auth/users/me/';

subtest 'invisible characters' => sub {
    my $user = signup();
    for my $kind (sort keys %invisible) {
        my $name = $invisible{$kind};
        my $email = unique($name) . '@example.com';
        is_invalid(api_as($user, PATCH => $change, json => { username => $name, email => $email }), 'detail',
            [qw(email username)], "username and e-mail address are rejected with $kind");
        is_invalid(api_as($user, PATCH => '/myprofile/', json => { first_name => $name, last_name => $name }), 'detail',
            [qw(first_name last_name)], "first and last name are rejected with $kind");
    }
    for my $space ("\x{A0}", "\x{2003}", "\x{3000}", ' ') {
        is_invalid(api_as($user, PATCH => $change, json => { email => "a${space}b\@example.com" }), 'detail', ['email'],
            sprintf 'an e-mail address is rejected with U+%04X', ord $space);
    }
    my %names = (first_name => 'Zoë 张伟', last_name => 'O’Brien-Ñandú');
    is_deeply({ map { $_ => api_as($user, PATCH => '/myprofile/', json => \%names)->json->{$_} } keys %names }, \%names,
        'letters of all scripts are accepted');
    my $goal = api_as($user, POST => '/api/v1/goals/', json => { title => "A \x{1F469}\x{200D}\x{1F680} goal",
            emoji => "\x{2764}\x{FE0F}", category => { name => 'c', color => '#112233' }, days_total => 3 });
    is($goal->status, 201, 'titles may have joined emoji') || diag($goal->summary);
};

subtest 'usernames with an @' => sub {
    my $rule = qr/only if it is the e-mail address of the account/;
    my $boss = unique('boss') . '@example.org';
    my $name = unique('plain');
    my %fields = (username => $boss, email => "$name\@example.com", password => 'a good password',
        re_password => 'a good password', confirm_password => 'a good password');
    for my $route (['/auth/users/', 'detail'], ['/api/auth/register/', 'flat'], ['/api/users/', 'envelope'],
        ['/api/v1/auth/register/', 'detail']) {
        my $reply = api(POST => $route->[0], json => \%fields);
        is_invalid($reply, $route->[1], ['username'], "$route->[0] rejects another address as username");
        like($reply->body, $rule, 'with the rule');
        my $own = unique('own') . '@example.com';
        is(api(POST => $route->[0], json => { %fields, username => uc $own, email => $own })->status, 201,
            "$route->[0] accepts the own address, in any case");
    }
    my $user = signup();
    for my $path ($change, '/myprofile/') {
        my $reply = rename_to($user, $path, username => $boss);
        is_invalid($reply, 'detail', ['username'], "PATCH $path rejects another address as username");
        like($reply->body, $rule, 'with the rule');
    }
    is(rename_to($user, $change, username => $name)->status, 200, 'a name without @ is accepted');
    is(rename_to($user, $change, username => $user->{email})->status, 200, 'so is the own address');
    my $moved = unique('moved') . '@example.com';
    is_deeply(rename_to($user, $change, email => $moved)->json,
        { email => $moved, username => $moved, id => user($moved)->{id} },
        'a username that is the e-mail address changes with it');
    my $shifted = unique('shifted') . '@example.com';
    is(rename_to($user, $change, username => uc $moved, email => $shifted)->json->{username}, $shifted,
        'also when the case of its letters changes with the address');
    is(sign_up('a good password', json => { first_name => 'A', last_name => 'B', email => $user->{email},
                password => 'a good password' })->status, 201, 'so that the old address can sign up');
    my $other = signup();
    rename_to($other, $change, username => my $kept = unique('kept'));
    is(rename_to($other, $change, email => unique('x') . '@example.com')->json->{username}, $kept,
        'another username stays');

    # A username of before this rule.
    my $old = signup();
    sql('ALTER TABLE learnhub.users DISABLE TRIGGER keep_username_own');
    sql('UPDATE learnhub.users SET username = ? WHERE email = ?', $boss, $old->{email});
    sql('ALTER TABLE learnhub.users ENABLE TRIGGER keep_username_own');
    is(api_as($old, PATCH => '/myprofile/', json => { username => $boss, first_name => 'Old' })->status, 200,
        'an account whose username has broken the rule before still works');
    is(rename_to($old, $change, email => unique('old') . '@example.com')->json->{username}, $boss,
        'also when its e-mail address changes');
};

done_testing;
