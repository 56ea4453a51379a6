# SPDX-License-Identifier: Apache-2.0
# Practice sessions: every operation of the document, the state machine, auto-saving, streamed lists, the races.
use strict;
use warnings;
use utf8;

use Digest::MD5 qw(md5_hex);
use LearnHub::Test;

my $millis = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my $oid = qr/^[0-9a-f]{24}$/;
my $keys = [qw(chat_messages created_at diagram_data diagram_hash ended_at id last_saved_at problem_id started_at status
        time_spent updated_at user_id)];
my $nowhere = '0' x 24;
my %message = (role => 'user', content => 'How?');

my $user = signup();
my $other = signup();

sub call { my ($who, $method, $path, %with) = @_; return api($method, "/sessions/$path", $who ? (token => $who->{token}) : (), %with) }

sub problem {
    my $reply = api(POST => '/problems/', token => $user->{token},
        json => { title => 'P', description => 'D', difficulty => 'easy' });
    return $reply->json->{problem}{id} || die $reply->summary;
}

sub begin {
    my ($who, $problem) = @_;
    my $reply = call($who || $user, POST => '', json => { problem_id => $problem || problem() });
    $reply->status =~ /^20[01]$/ or die $reply->summary;
    return $reply->json;
}

# A body as a client's own bytes.
sub save {
    my ($id, $diagram, $time, $who) = @_;
    my $bytes = qq({"diagram_data":$diagram,"time_spent":$time});
    utf8::encode($bytes);
    return call($who || $user, PUT => "$id/autosave", body => $bytes, headers => { 'Content-Type' => 'application/json' });
}

sub row {
    my ($id) = @_;
    return (sql(q{SELECT *, diagram_data::text AS diagram FROM learnhub.practice_sessions WHERE id = decode(?, 'hex')}, $id))[0];
}

sub is_session {
    my ($session, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($session), $keys, "$name: keys");
    like($session->{$_}, $oid, "$name: $_") for qw(id problem_id);
    like($session->{$_}, $millis, "$name: form of $_") for qw(last_saved_at started_at created_at updated_at);
    like($session->{ended_at} // '2000-01-01T00:00:00.000Z', $millis, "$name: form of ended_at");
    like($session->{diagram_hash}, qr/^[0-9a-f]{32}$/, "$name: form of the hash");
    is($session->{user_id}, $user->{email}, "$name: user_id is the e-mail");
    return $session;
}

# ---- without a token, for what is not there, for somebody else ----

my $session = begin();
my @operations = ([GET => '%s'], [PUT => '%s/autosave', { diagram_data => {}, time_spent => 1 }],
    [PUT => '%s/pause', { time_spent => 1 }], [PUT => '%s/resume'], [POST => '%s/chat', \%message], [DELETE => '%s']);
for my $operation (@operations) {
    my ($method, $path, $body) = @$operation;
    my @body = $body ? (json => $body) : ();
    is_refusal(call(undef, $method, sprintf($path, $session->{id}), @body), 'practice', 401);
    is_refusal(call($user, $method, sprintf($path, $_), @body), 'practice', 404) for $nowhere, 'abc', '1' x 23;
    is_refusal(call($other, $method, sprintf($path, $session->{id}), @body), 'practice', $method eq 'GET' ? 403 : 404);
}
is_refusal(call(undef, @$_), 'practice', 401) for [POST => ''], [GET => 'user/my-sessions'], [GET => "problem/$nowhere"];
is_deeply(row($session->{id})->{status}, 'active', 'nothing has happened');

# ---- begin ----

my $problem = problem();
my $begun = call($user, POST => '', json => { problem_id => $problem, status => 'paused', time_spent => 9 });
is($begun->status, 201, 'begun');
$session = is_session($begun->json, 'begun');
is_deeply([@$session{qw(problem_id diagram_data diagram_hash time_spent status chat_messages ended_at)}],
    [$problem, {}, 'd41d8cd98f00b204e9800998ecf8427e', 0, 'active', [], undef], 'an empty session');
is_deeply([map { $session->{$_} eq $session->{created_at} } qw(last_saved_at started_at updated_at)], [1, 1, 1], 'its times');
my $again = call($user, POST => '', json => { problem_id => $problem });
is_deeply([$again->status, $again->json], [200, $session], 'a second time: the same, unchanged');
is(call($user, POST => '', json => { problem_id => uc $problem })->json->{id}, $session->{id}, 'hex digits of either case');
is_deeply(call($user, GET => $session->{id})->json, $session, 'read');
is_deeply(call($user, GET => "problem/$problem")->json, $session, 'by problem');
my $none = call($other, GET => "problem/$problem");
is_deeply([$none->status, $none->body], [200, 'null'], 'by problem: null when there is none');
is(call($user, GET => "problem/$nowhere")->body, 'null', 'null for an unknown problem');
is_refusal(call($user, GET => 'problem/abc'), 'practice', 404);
is(call($other, POST => '', json => { problem_id => $problem })->status, 201, 'each user has their own');
is_refusal(call($user, POST => '', json => { problem_id => $nowhere }), 'practice', 404, qr/Problem/);
is_invalid(call($user, POST => '', json => { problem_id => $_ }), 'practice', ['problem_id']) for 'x', 7, undef, '0' x 25;
is_invalid(call($user, POST => '', json => {}), 'practice', ['problem_id']);

my $contested = problem();
my @begun = parallel(20, sub { call($user, POST => '', json => { problem_id => $contested }) });
is_deeply([sort map { $_->{status} } @begun], [(200) x 19, 201], 'twenty at once: one is new');
is(scalar keys %{ { map { $_->{json}{id} => 1 } @begun } }, 1, 'and all get the same');
is((sql("SELECT count(*) AS n FROM learnhub.practice_sessions WHERE problem_id = decode(?, 'hex')", $contested))[0]{n}, 1,
    'there is one');
my $turbulent = problem();
my @turns = parallel(16, sub {
        my ($i) = @_;
        my $mine = call($user, POST => '', json => { problem_id => $turbulent });
        return $mine->status if $i % 4;
        my $left = call($user, DELETE => $mine->json->{id})->status;
        return $left =~ /^(?:204|400)$/ ? 'left' : $left;
});
is_deeply([grep { !/^(?:200|201|left)$/ } @turns], [], 'beginning and leaving at once');

# ---- autosave ----

my $drawn = '{"elements":[{"type":"rectangle","x":100,"y":-1.5}],"appState":{"viewBackgroundColor":"#ffffff"}}';
my $sorted = '{"appState":{"viewBackgroundColor":"#ffffff"},"elements":[{"type":"rectangle","x":100,"y":-1.5}]}';
sql("UPDATE learnhub.practice_sessions SET last_saved_at = last_saved_at - interval '1 hour', updated_at = updated_at - interval '1 hour'
    WHERE id = decode(?, 'hex')", $session->{id});
my $before = call($user, GET => $session->{id})->json;
my $saved = is_session(save($session->{id}, $drawn, 120)->json, 'saved');
is_deeply([@$saved{qw(diagram_data diagram_hash time_spent status)}], [JSON::XS::decode_json($drawn), md5_hex($sorted), 120,
        'active'], 'what was sent, its hash');
cmp_ok($saved->{$_}, 'gt', $before->{$_}, "$_ moves") for qw(last_saved_at updated_at);
is_deeply([map { $saved->{$_} } qw(created_at started_at)], [map { $before->{$_} } qw(created_at started_at)], 'others stay');
is_deeply(call($user, GET => $session->{id})->json, $saved, 'it is kept');

# What is stored and where: the row's version moves, the diagram's TOAST does not. Only a superuser sees that.
my $superuser = DBI->connect('dbi:Pg:' . join(';', split ' ', $ENV{LEARNHUB_OWNER} =~ s/user=\w+/user=postgres/r), '', '',
    { RaiseError => 1, AutoInactiveDestroy => 1 });

sub toast {
    my ($table) = $superuser->selectrow_array(
        q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'learnhub.practice_sessions'::regclass});
    return $superuser->selectrow_array("SELECT count(*) || ' ' || coalesce(max(chunk_id), 0) FROM $table");
}

my $large = '{"elements":[' . join(',', map { qq({"id":"e$_","x":) . $_ * 7919 % 1000 . '.25}' } 1 .. 300) . '],"a":1}';
my $mixed = '{"a" : 1, "elements":[' . join(',', map { qq({"x":) . $_ * 7919 % 1000 . qq(.25,"id":"e$_"}) } 1 .. 300) . ']}';
my $stored = save($session->{id}, $large, 130);
is($stored->status, 200, 'a large diagram');
my $toast = toast();
like($toast, qr/^[1-9]/, 'it lies in TOAST');
sql("UPDATE learnhub.practice_sessions SET last_saved_at = last_saved_at - interval '1 hour' WHERE id = decode(?, 'hex')",
    $session->{id});
my $unchanged = save($session->{id}, $large, 140);
is_deeply([@{ $unchanged->json }{qw(time_spent diagram_hash diagram_data)}], [140, @{ $stored->json }{qw(diagram_hash diagram_data)}],
    'unchanged: the time moves');
cmp_ok($unchanged->json->{last_saved_at}, 'ge', $stored->json->{last_saved_at}, 'and last_saved_at');
is(toast(), $toast, 'the stored diagram is not written again');
my $respelled = save($session->{id}, $mixed, 150);
is_deeply([@{ $respelled->json }{qw(time_spent diagram_hash)}, row($session->{id})->{diagram}],
    [150, $stored->json->{diagram_hash}, $large], 'spelled otherwise: the same hash, the stored one stays');
is(toast(), $toast, 'not written again');
like($respelled->body, qr/\{"a" : 1, "elements"/, 'the answer is as it was sent');
save($session->{id}, $mixed, 160);
is(toast(), $toast, 'nor the second time');
isnt(save($session->{id}, $large =~ s/"a":1/"a":2/r, 170)->json->{diagram_hash}, $stored->json->{diagram_hash}, 'a change');
isnt(toast(), $toast, 'is written');

# Nothing of a diagram is rounded or lost.
my $exact = '{"big":123456789012345678901234567890,"small":1e-400,"huge":-1E+999,"one":1.0,"t":"\u00e9\ud83d\ude00\/\b","":[[],{},null,true,false],"é":0}';
my $kept = save($session->{id}, $exact, 180);
is($kept->status, 200, 'numbers beyond what machines have') || diag($kept->summary);
my $bytes = row($session->{id})->{diagram};
is($bytes, $exact, 'byte for byte');
my $shown = call($user, GET => $session->{id})->body;
utf8::decode($shown);
like($shown, qr/\Q$exact\E/, 'and so it is shown');
my %hashes = (
    '{}' => '', '{ }' => '', '{"b":1,"a":2}' => '{"a":2,"b":1}', '{"a":"\u0041\/"}' => '{"a":"A/"}',
    '{"a":[1, 2.50 ,"x y"]}' => '{"a":[1,2.50,"x y"]}', '{"é":"ü","e":1,"f":2}' => "{\"e\":1,\"f\":2,\"\xc3\xa9\":\"\xc3\xbc\"}",
    '{"a":{"z":[],"y":{}},"B":null}' => '{"B":null,"a":{"y":{},"z":[]}}', '{"a":"\"\\\\\n\u001f"}' => '{"a":"\"\\\\\n\u001f"}',
    '{"\u0061b":1,"a":2}' => '{"a":2,"ab":1}',
);
is(save($session->{id}, $_, 1)->json->{diagram_hash}, md5_hex($hashes{$_}), "hash of $_") for sort keys %hashes;

save($session->{id}, '{"\u0061b":1,"a":2}', 1);
my @broken = ('{"a":}', '{"a":1,}', '{"a":01}', '{"a":1.}', '{"a":+1}', '{"a":.5}', '{"a":1e}', '{"a":nul}', '{"a":"\x"}',
    '{"a":"\ud800"}', '{"a":"\u0000"}', "{\"a\":\"\n\"}", '{"a":1,"a":2}', '{"a":1,"\u0061":2}', '{"x":{"a":1,"b":2,"a":3}}', '{a:1}',
    '{"a":[1}}', '{"a":[1 2]}', '{"a" 1}', '{"a":1} x', '{"a":NaN}', '{"a":"unterminated}', '{"a":1', '{"a":tru e}', "{'a':1}");
for my $diagram (@broken) {
    is_invalid(save($session->{id}, $diagram, 1), 'practice', ['body'], "no JSON: $diagram");
}
is_invalid(call($user, PUT => "$session->{id}/autosave", body => "{\"diagram_data\":{\"a\":\"\xff\"},\"time_spent\":1}"), 'practice',
    ['body'], 'no UTF-8');
is_invalid(call($user, PUT => "$session->{id}/autosave", body => qq({"diagram_data":{"\\u0061b":1}\0 ,"time_spent":1})), 'practice',
    ['body'], 'a zero byte behind a diagram that is known');
is_invalid(save($session->{id}, '{"\u0061b":1,"a":2},"diagram_data":{}', 1), 'practice', ['body'], 'a member twice');
is_invalid(save($session->{id}, '{"\u0061b":1,"a":2}', '1,"time_spent":2'), 'practice', ['body'], 'another member twice');
is_invalid(call($user, PUT => "$session->{id}/autosave", body => '{"diagram_data":{"\u0061b":1,"a":2},"time_spent":1'), 'practice',
    ['body'], 'the end is missing behind a diagram that is known');
is_invalid(save($session->{id}, $_, 1), 'practice', ['diagram_data'], "no object: $_") for '[]', '"{}"', 'null', '5', 'true';
is_invalid(call($user, PUT => "$session->{id}/autosave", json => {}), 'practice', [qw(diagram_data time_spent)]);
is_invalid(save($session->{id}, '{}', $_), 'practice', ['time_spent'], "time_spent $_") for '-1', '1.5', '"5"', 'null', 'true';
is_invalid(save($session->{id}, '[]', '99999999999999999999'), 'practice', [qw(diagram_data time_spent)], 'beyond 64 bits');
is(call($user, PUT => "$session->{id}/autosave", body => '{"x":99999999999999999999,"diagram_data":{"\u0061b":1,"a":2},"time_spent":7}')->json->{time_spent}, 7,
    'an unknown field beyond 64 bits is ignored');
is_invalid(save($session->{id}, '[]', -1), 'practice', [qw(diagram_data time_spent)], 'both at once');
is_invalid(save($session->{id}, '{"a":01}', -1), 'practice', ['body'], 'what is no JSON is told first');
is(row($session->{id})->{diagram}, '{"\u0061b":1,"a":2}', 'none of them was saved');
is(save($session->{id}, '{"deep":' . '[' x 199 . ']' x 199 . '}', 1)->status, 200, '200 levels');
is_invalid(save($session->{id}, '{"deep":' . '[' x 200 . ']' x 200 . '}', 1), 'practice', ['body'], '201 levels');
is_invalid(save($session->{id}, '{"deep":' . '[' x 100000 . ']' x 100000 . '}', 1), 'practice', ['body'], '100,000 levels');
is_refusal(save($session->{id}, '{"a":"' . 'x' x 1048576 . '"}', 1), 'practice', 413);
my $half = '{"a":"' . 'x' x 500000 . '"}';
is(save($session->{id}, $half, 1)->json->{diagram_hash}, md5_hex($half), '500 KB');
is(length call($user, GET => $session->{id})->json->{diagram_data}{a}, 500000, 'is kept');

my $shared = begin();
my @saves = parallel(12, sub { my ($i) = @_; save($shared->{id}, qq({"writer":$i,"filler":"@{['y' x 5000]}"}), $i) });
is_deeply([map { $_->{status} } @saves], [(200) x 12], 'twelve save at once');
my $last = row($shared->{id});
my ($writer) = $last->{diagram} =~ /"writer":(\d+)/;
my @moments = parallel(8, sub {
        my ($i) = @_;
        my @seen;
        for (1 .. 15) {
            save($shared->{id}, qq({"writer":$i}), $i) if $i < 6;
            push @seen, row($shared->{id})->{last_saved_at} if $i >= 6;
        }
        return \@seen;
});
is_deeply([map {@$_} @moments[6, 7]], [map { sort @$_ } @moments[6, 7]], 'last_saved_at never goes back');
is_deeply([$last->{time_spent}, $last->{diagram_hash}], [$writer, $saves[$writer]{json}{diagram_hash}], 'one of them whole');

# ---- the states ----

# What each action does in each state: the state after it, or 400; a repeated one is harmless.
my %after = (
    autosave => { active => 'active', paused => 'paused' }, chat => { active => 'active', paused => 'paused' },
    pause => { active => 'paused', paused => 'paused' }, resume => { active => 'active', paused => 'active' },
    DELETE => { active => 'abandoned', paused => 'abandoned' },
);
my %sent = (autosave => [PUT => '/autosave', json => { diagram_data => { a => 1 }, time_spent => 600 }],
    pause => [PUT => '/pause', json => { time_spent => 600 }], resume => [PUT => '/resume'],
    chat => [POST => '/chat', json => \%message], DELETE => [DELETE => '']);
for my $action (sort keys %after) {
    for my $state (qw(active paused submitted abandoned)) {
        my $id = begin()->{id};
        sql("UPDATE learnhub.practice_sessions SET status = ?, ended_at = CASE WHEN ? IN ('submitted', 'abandoned') THEN now() END,
            last_saved_at = '2024-01-01', updated_at = '2024-01-01' WHERE id = decode(?, 'hex')", $state, $state, $id);
        my ($method, $path, @body) = @{ $sent{$action} };
        my $reply = call($user, $method, "$id$path", @body);
        my $row = row($id);
        my $next = $after{$action}{$state};
        is($row->{status}, $next || $state, "$action when $state leads to " . ($next || $state));
        if (!$next) {
            is_refusal($reply, 'practice', 400, "$action when $state");
            is($row->{updated_at} =~ /^(2024-01-01|2023-12-31)/ && $row->{time_spent}, 0, "$action when $state changes nothing");
            next;
        }
        if ($action eq 'DELETE') {
            is_deeply([$reply->status, $reply->body], [204, ''], "DELETE when $state");
            like(call($user, GET => $id)->json->{ended_at}, $millis, 'it stays readable and has ended');
            next;
        }
        is($reply->status, 200, "$action when $state") || diag($reply->summary);
        my $now = is_session($reply->json, "$action when $state");
        is_deeply(call($user, GET => $id)->json, $now, "$action when $state: the state after it");
        my $saves = $action eq 'autosave' || "$action $state" eq 'pause active';
        is($now->{time_spent}, $saves ? 600 : 0, "$action when $state: time_spent");
        is($now->{last_saved_at} gt '2025', !!$saves, "$action when $state: last_saved_at");
        is($now->{updated_at} gt '2025', !!($saves || $action eq 'chat' || "$action $state" eq 'resume paused'),
            "$action when $state: updated_at");
    }
}
is_invalid(call($user, PUT => "$shared->{id}/pause", json => $_), 'practice', ['time_spent']) for { }, { time_spent => -1 },
    { time_spent => 'x' };
is(call($user, PUT => "$shared->{id}/resume", json => { ignored => 1 })->status, 200, 'resume wants no body');
call($user, PUT => "$shared->{id}/pause", json => { time_spent => 1 });
is(call($user, GET => "problem/$shared->{problem_id}")->json->{status}, 'paused', 'by problem: a paused one is open');
is_deeply([call($user, POST => '', json => { problem_id => $shared->{problem_id} })->json->{status}], ['paused'],
    'going on does not resume');
call($user, DELETE => $shared->{id});
is(call($user, GET => "problem/$shared->{problem_id}")->body, 'null', 'an abandoned one is not');
is(call($user, POST => '', json => { problem_id => $shared->{problem_id} })->status, 201, 'a fresh start');

# ---- chat ----

my $talk = begin();
my $said = call($user, POST => "$talk->{id}/chat", json => { %message, timestamp => 'x', extra => 1 })->json;
is_deeply([map { keys_of($_) } @{ $said->{chat_messages} }], [[qw(content role timestamp)]], 'keys of a message');
is_deeply([@{ $said->{chat_messages}[0] }{qw(role content)}], ['user', 'How?'], 'the message');
like($said->{chat_messages}[0]{timestamp}, $millis, 'form of its time');
$said = call($user, POST => "$talk->{id}/chat", json => { role => 'assistant', content => "  So: \"ö\"\n" })->json;
is($said->{chat_messages}[1]{content}, "  So: \"ö\"\n", 'as it was sent');
is_invalid(call($user, POST => "$talk->{id}/chat", json => { %message, @$_ }), 'practice', [$_->[0]])

    for [role => 'system'], [role => undef], [content => ''], [content => undef], [content => 5], [content => 'x' x 32769];
is_invalid(call($user, POST => "$talk->{id}/chat", json => {}), 'practice', [qw(content role)]);
parallel(10, sub { call($user, POST => "$talk->{id}/chat", json => \%message)->status });
is(scalar @{ call($user, GET => $talk->{id})->json->{chat_messages} }, 12, 'none of ten at once is lost');
sql("UPDATE learnhub.practice_sessions SET chat_messages = (SELECT jsonb_agg(n) FROM generate_series(1, 1000) n)
    WHERE id = decode(?, 'hex')", $talk->{id});
is_refusal(call($user, POST => "$talk->{id}/chat", json => \%message), 'practice', 400, qr/1000/);
sql("UPDATE learnhub.practice_sessions SET chat_messages = to_jsonb(ARRAY[repeat('x', 1000000)]) WHERE id = decode(?, 'hex')", $talk->{id});
is_refusal(call($user, POST => "$talk->{id}/chat", json => \%message), 'practice', 400, qr/1 MB/);
my $lively = begin();
parallel(12, sub { call($user, POST => "$lively->{id}/chat", json => \%message)->status });
my @spoken = map { $_->{timestamp} } @{ call($user, GET => $lively->{id})->json->{chat_messages} };
is_deeply(\@spoken, [sort @spoken], 'twelve at once stand in the order of their times');

# ---- a deleted problem ----

my $fleeting = begin();
api(DELETE => "/problems/$fleeting->{problem_id}", token => $user->{token});
is(call($user, GET => $fleeting->{id})->json->{problem_id}, $fleeting->{problem_id}, 'the session stays readable');
is(save($fleeting->{id}, '{"a":1}', 5)->status, 200, 'and can be saved');
is_refusal(call($user, POST => '', json => { problem_id => $fleeting->{problem_id} }), 'practice', 404);
is(api(POST => "/submissions/from-session/$fleeting->{id}", token => $user->{token})->status, 201, 'and submitted');

# ---- my sessions ----

my $worker = signup();
is(call($worker, GET => 'user/my-sessions')->body, '[]', 'none yet');
my @mine = reverse map { begin($worker) } 1 .. 5;
my $list = call($worker, GET => 'user/my-sessions');
is_deeply([$list->status, $list->json], [200, \@mine], 'a bare array, newest first');
ok($list->header('Content-Length') && !$list->header('Transfer-Encoding'), 'a short list is sent at once');
is($list->header('Cache-Control'), 'no-store', 'and is nobody\'s to keep');
is_deeply(call($worker, GET => 'user/my-sessions?skip=1&limit=2')->json, [@mine[1, 2]], 'skip and limit');
is(call($worker, GET => 'user/my-sessions?skip=5')->body, '[]', 'past the end');
is_invalid(call($worker, GET => "user/my-sessions?$_"), 'practice', [/^(\w+)/]) for 'skip=-1', 'skip=x', 'limit=0', 'limit=101';
is(call($worker, HEAD => 'user/my-sessions')->status, 200, 'HEAD');

# ---- a list that is larger than a process should grow ----

sql("INSERT INTO learnhub.practice_sessions (user_id, problem_id, diagram_data)
    SELECT u.id, int8send(n) || int4send(0), json_build_object('n', n, 'filler', (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 15625) i))
    FROM learnhub.users u, generate_series(1, 100) n WHERE u.email = ?", $worker->{email});

my $at_first = resident();
cmp_ok($at_first, '>', 0, 'the server\'s processes are found');
my $most = 0;
my ($received, $count) = ('', 0);
LearnHub::Test::agent()->get('http://127.0.0.1:' . port() . '/sessions/user/my-sessions',
    Authorization => "Bearer $worker->{token}", ':content_cb' => sub {
        $received .= $_[0];
        $most = resident() if ++$count % 200 == 0 && resident() > $most;
    });
cmp_ok(length $received, '>', 50_000_000, '100 sessions of 500 KB');
is_deeply([(map { $_->{diagram_data}{n} } @{ JSON::XS::decode_json($received) })[0, 99]], [100, 1], 'all of them, newest first');
cmp_ok($most, '>', 0, 'looked at meanwhile');
cmp_ok($most - $at_first, '<', 12_000, 'and the server stays small: KB more than before');
my $head = call($worker, HEAD => 'user/my-sessions');
is_deeply([$head->status, $head->body], [200, ''], 'HEAD of a long list');

# A reader who leaves in the middle gives the connection back; so do many of them.
for (1 .. 12) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port()) or die $!;
    print $socket "GET /sessions/user/my-sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $worker->{token}\r\n\r\n";
    sysread $socket, my $first, 65536;
    like($first, qr/^HTTP\/1.1 200/, 'a reader who leaves') if $_ == 1;
    close $socket;
}
is(call($worker, GET => 'user/my-sessions?limit=2&skip=100')->json->[0]{id}, $mine[0]{id}, 'others are served');

# Prompt readers of long lists wait their turn.
my @prompt = parallel(16, sub { call($worker, GET => 'user/my-sessions?limit=4')->status });
is_deeply(\@prompt, [(200) x 16], 'sixteen long lists at once');

# Slow readers of long lists have half of the connections; the next one is told to come again, and short lists go on.
my @slow = map {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port()) or die $!;
    print $socket "GET /sessions/user/my-sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $worker->{token}\r\n\r\n";
    sysread $socket, my $begun, 16;
    [$socket, $begun];
} 1 .. 14;
my @full = grep { $_->[1] =~ / 503/ } @slow;
cmp_ok(scalar @full, '>', 0, 'more readers than there is room for are told so');
cmp_ok(scalar(@slow - @full), '>=', 4, 'the others are served');
is(call($other, GET => 'user/my-sessions')->status, 200, 'a short list goes on') for 1 .. 5;
is(api(GET => '/problems/search/query?q=nothing')->status, 200, 'and a search');
close $_->[0] for @slow;
is(eventually(sub { call($worker, GET => 'user/my-sessions?limit=2')->status == 200 }), 1, 'and then the long one');

# When the database goes in the middle of it, the client can tell that the answer is not whole.
expect_log(qr/the answer broke off/);
my $broken = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => port()) or die $!;
print $broken "GET /sessions/user/my-sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $worker->{token}\r\n\r\n";
my $part = '';
sysread $broken, $part, 65536, length $part while length $part < 1_000_000;
my $ended = $superuser->selectall_arrayref("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'learnhub' AND query LIKE '%practice_sessions%' AND state = 'active'");
is_deeply($ended, [[1]], 'the backend was ended');
1 while sysread $broken, $part, 1 << 20, length $part;
ok(scalar($part =~ /^HTTP\/1.1 200.*?Transfer-Encoding: chunked/s), 'the answer had begun');
isnt(substr($part, -7), "\r\n0\r\n\r\n", 'and has no end');
cmp_ok(length $part, '<', 50_000_000, 'it is short');
is(eventually(sub { call($worker, GET => 'user/my-sessions?limit=1')->status == 200 }), 1, 'and everything goes on');

done_testing();
