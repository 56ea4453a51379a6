# SPDX-License-Identifier: Apache-2.0
# Practice sessions: every route, the state machine, auto-saving, streamed lists, and concurrent requests.
use strict;
use warnings;
use utf8;

use Digest::MD5 qw(md5_hex);
use LearnHub::Stream;
use LearnHub::Test;

my $millis = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my $oid = qr/^[0-9a-f]{24}$/;
my $keys = [qw(chat_messages created_at diagram_data diagram_hash ended_at id last_saved_at problem_id started_at status
        time_spent updated_at user_id)];
my $unknown_id = '0' x 24;
my %message = (role => 'user', content => 'How?');

my $user = signup();
my $other = signup();

sub problem {
    my $reply = api_as($user, POST => '/problems/',
        json => { title => 'P', description => 'D', difficulty => 'easy' });
    return $reply->json->{problem}{id} || die $reply->summary;
}

# The open session of a user ($user by default) for a problem (a new one by default).
sub begin {
    my ($caller, $problem) = @_;
    my $reply = api_as($caller || $user, POST => '/sessions/', json => { problem_id => $problem || problem() });
    $reply->status =~ /^20[01]$/ or die $reply->summary;
    return $reply->json;
}

# Saves a diagram given as JSON text, so that the test controls every byte.
sub save {
    my ($id, $diagram, $time, $caller) = @_;
    my $bytes = qq({"diagram_data":$diagram,"time_spent":$time});
    utf8::encode($bytes);
    return api_as($caller || $user, PUT => "/sessions/$id/autosave", body => $bytes,
        headers => { 'Content-Type' => 'application/json' });
}

# A session in the database; diagram is the stored text.
sub stored {
    my ($id) = @_;
    return (sql(q{SELECT *, diagram_data::text AS diagram FROM learnhub.practice_sessions WHERE id = decode(?, 'hex')},
            $id))[0];
}

sub is_session {
    my ($session, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(keys_of($session), $keys, "$name: keys of a session");
    like($session->{$_}, $oid, "$name: $_ has 24 hex digits") for qw(id problem_id);
    like($session->{$_}, $millis, "$name: $_ is a UTC time with milliseconds")
        for qw(last_saved_at started_at created_at updated_at);
    like($session->{ended_at} // '2000-01-01T00:00:00.000Z', $millis,
        "$name: ended_at is null or a UTC time with milliseconds");
    like($session->{diagram_hash}, qr/^[0-9a-f]{32}$/, "$name: diagram_hash has 32 hex digits");
    is($session->{user_id}, $user->{email}, "$name: user_id is the e-mail");
    return $session;
}

my $session = begin();
my @routes = ([GET => '/sessions/%s'], [PUT => '/sessions/%s/autosave', { diagram_data => {}, time_spent => 1 }],
    [PUT => '/sessions/%s/pause', { time_spent => 1 }], [PUT => '/sessions/%s/resume'],
    [POST => '/sessions/%s/chat', \%message], [DELETE => '/sessions/%s']);

subtest 'Routes of a session reject missing tokens, unknown ids and other users' => sub {
    for my $route (@routes) {
        my ($method, $path, $body) = @$route;
        my @body = $body ? (json => $body) : ();
        is_error(api_as(undef, $method, sprintf($path, $session->{id}), @body), 'located', 401,
            "$method $path without a token is rejected");
        is_error(api_as($user, $method, sprintf($path, $_), @body), 'located', 404,
            "$method $path with the id $_ is not found") for $unknown_id, 'abc', '1' x 23;
        is_error(api_as($other, $method, sprintf($path, $session->{id}), @body), 'located',
            $method eq 'GET' ? 403 : 404, "$method $path of another user's session is rejected");
    }
    is_error(api_as(undef, @$_), 'located', 401, "$_->[0] $_->[1] without a token is rejected")
        for [POST => '/sessions/'], [GET => '/sessions/user/my-sessions'], [GET => "/sessions/problem/$unknown_id"];
    is_deeply(stored($session->{id})->{status}, 'active', 'rejected requests leave the session unchanged');
    my $paused = api_as($user, PUT => '/sessions/' . begin()->{id} . '/pause', json => { time_spent => 1 })->json;
    is_error(api_as($other, PUT => "/sessions/$paused->{id}/resume"), 'located', 404,
        "another user's paused session cannot be resumed");
    is(stored($paused->{id})->{status}, 'paused', 'a session that another user tried to resume is still paused');
};

my $problem = problem();

subtest 'POST begins a session, or returns the open one unchanged' => sub {
    my $begun = api_as($user, POST => '/sessions/',
        json => { problem_id => $problem, status => 'paused', time_spent => 9 });
    is($begun->status, 201, 'a new session is created');
    $session = is_session($begun->json, 'new session');
    is_deeply([@$session{qw(problem_id diagram_data diagram_hash time_spent status chat_messages ended_at)}],
        [$problem, {}, 'd41d8cd98f00b204e9800998ecf8427e', 0, 'active', [], undef],
        'a new session is active and empty; diagram_hash is the MD5 of the empty string');
    is_deeply([map { $session->{$_} eq $session->{created_at} } qw(last_saved_at started_at updated_at)], [1, 1, 1],
        'the times of a new session are equal');
    my $again = api_as($user, POST => '/sessions/', json => { problem_id => $problem });
    is_deeply([$again->status, $again->json], [200, $session],
        'a second POST returns the open session unchanged with 200');
    is(api_as($user, POST => '/sessions/', json => { problem_id => uc $problem })->json->{id}, $session->{id},
        'hex digits of problem_id are read in either case');
    is_deeply(api_as($user, GET => "/sessions/$session->{id}")->json, $session, 'GET returns the session');
    is_deeply(api_as($user, GET => "/sessions/problem/$problem")->json, $session,
        'the open session is found by its problem');
    my $none = api_as($other, GET => "/sessions/problem/$problem");
    is_deeply([$none->status, $none->body], [200, 'null'], 'null is returned for a problem without an open session');
    is(api_as($user, GET => "/sessions/problem/$unknown_id")->body, 'null', 'null is returned for an unknown problem');
    is_error(api_as($user, GET => '/sessions/problem/abc'), 'located', 404,
        'a problem id that cannot be parsed is not found');
    is(api_as($other, POST => '/sessions/', json => { problem_id => $problem })->status, 201,
        'each user has a session of their own');
    is_error(api_as($user, POST => '/sessions/', json => { problem_id => $unknown_id }), 'located', 404, qr/Problem/,
        'an unknown problem is not found');
    is_invalid(api_as($user, POST => '/sessions/', json => { problem_id => $_ }), 'located', ['problem_id'],
        'problem_id must be 24 hex digits') for 'x', 7, undef, '0' x 25;
    is_invalid(api_as($user, POST => '/sessions/', json => {}), 'located', ['problem_id'], 'problem_id is required');
};

subtest 'Concurrent POSTs begin one session' => sub {
    my $contested = problem();
    my @begun = parallel(20, sub { api_as($user, POST => '/sessions/', json => { problem_id => $contested }) });
    is_deeply([sort map { $_->{status} } @begun], [(200) x 19, 201],
        'of 20 concurrent requests one creates the session');
    is(scalar keys %{ { map { $_->{json}{id} => 1 } @begun } }, 1,
        'all 20 concurrent requests return the same session');
    is((sql("SELECT count(*) AS n FROM learnhub.practice_sessions WHERE problem_id = decode(?, 'hex')",
                $contested))[0]{n}, 1, 'the database has one session after 20 concurrent requests');
};

subtest 'Concurrent creation and abandonment of a session never fail' => sub {
    my $turbulent = problem();
    my @turns = parallel 16, sub {
        my ($i) = @_;
        my $mine = api_as($user, POST => '/sessions/', json => { problem_id => $turbulent });
        return $mine->status if $i % 4;
        my $left = api_as($user, DELETE => '/sessions/' . $mine->json->{id})->status;
        return $left =~ /^(?:204|400)$/ ? 'left' : $left;
    };
    is_deeply([grep { !/^(?:200|201|left)$/ } @turns], [], 'every request returns 200, 201, 204 or 400');
};

subtest 'Autosave stores the diagram and its hash' => sub {
    my $drawn = '{"elements":[{"type":"rectangle","x":100,"y":-1.5}],"appState":{"viewBackgroundColor":"#ffffff"}}';
    my $sorted = '{"appState":{"viewBackgroundColor":"#ffffff"},"elements":[{"type":"rectangle","x":100,"y":-1.5}]}';
    sql("UPDATE learnhub.practice_sessions SET last_saved_at = last_saved_at - interval '1 hour',
        updated_at = updated_at - interval '1 hour' WHERE id = decode(?, 'hex')", $session->{id});
    my $before = api_as($user, GET => "/sessions/$session->{id}")->json;
    my $saved = is_session(save($session->{id}, $drawn, 120)->json, 'saved session');
    is_deeply([@$saved{qw(diagram_data diagram_hash time_spent status)}],
        [JSON::XS::decode_json($drawn), md5_hex($sorted), 120, 'active'],
        'diagram, time and status; diagram_hash is the MD5 of the compact JSON with sorted keys');
    cmp_ok($saved->{$_}, 'gt', $before->{$_}, "$_ increases") for qw(last_saved_at updated_at);
    is_deeply([map { $saved->{$_} } qw(created_at started_at)], [map { $before->{$_} } qw(created_at started_at)],
        'created_at and started_at stay');
    is_deeply(api_as($user, GET => "/sessions/$session->{id}")->json, $saved, 'a later GET returns what was saved');
};

# Only a superuser may read the TOAST table.
my $superuser = superuser();

# Changes whenever a diagram is written to the TOAST table.
sub toast_state {
    my ($table) = $superuser->selectrow_array(
        q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'learnhub.practice_sessions'::regclass});
    return $superuser->selectrow_array("SELECT count(*) || ' ' || coalesce(max(chunk_id), 0) FROM $table");
}

subtest 'An autosave with the same hash does not rewrite the stored diagram' => sub {
    my $large = '{"elements":[' . join(',', map { qq({"id":"e$_","x":) . $_ * 7919 % 1000 . '.25}' } 1 .. 300)
        . '],"a":1}';
    my $mixed = '{"a" : 1, "elements":[' . join(',',
        map { qq({"x":) . $_ * 7919 % 1000 . qq(.25,"id":"e$_"}) } 1 .. 300) . ']}';
    my $stored = save($session->{id}, $large, 130);
    is($stored->status, 200, 'a large diagram is saved');
    my $toast_before = toast_state();
    like($toast_before, qr/^[1-9]/, 'the diagram is stored in the TOAST table');
    sql("UPDATE learnhub.practice_sessions SET last_saved_at = last_saved_at - interval '1 hour'
        WHERE id = decode(?, 'hex')", $session->{id});
    my $unchanged = save($session->{id}, $large, 140);
    is_deeply([@{ $unchanged->json }{qw(time_spent diagram_hash diagram_data)}],
        [140, @{ $stored->json }{qw(diagram_hash diagram_data)}],
        'an unchanged diagram: time_spent changes, diagram and hash stay');
    cmp_ok($unchanged->json->{last_saved_at}, 'ge', $stored->json->{last_saved_at},
        'an unchanged diagram: last_saved_at does not go back');
    is(toast_state(), $toast_before, 'an unchanged diagram is not written again');
    my $respelled = save($session->{id}, $mixed, 150);
    is_deeply([@{ $respelled->json }{qw(time_spent diagram_hash)}, stored($session->{id})->{diagram}],
        [150, $stored->json->{diagram_hash}, $large],
        'the same JSON in another spelling has the same hash, and the stored bytes stay');
    is(toast_state(), $toast_before, 'the same JSON in another spelling is not written');
    like($respelled->body, qr/\{"a" : 1, "elements"/, 'the response has the spelling that was sent');
    save($session->{id}, $mixed, 160);
    is(toast_state(), $toast_before, 'a repeated spelling is not written either');
    isnt(save($session->{id}, $large =~ s/"a":1/"a":2/r, 170)->json->{diagram_hash}, $stored->json->{diagram_hash},
        'a changed diagram has another hash');
    isnt(toast_state(), $toast_before, 'a changed diagram is written');
};

# Numbers are neither rounded nor respelled.
subtest 'A diagram is kept byte for byte' => sub {
    my $exact = '{"big":123456789012345678901234567890,"small":1e-400,"huge":-1E+999,"one":1.0,'
        . '"t":"\u00e9\ud83d\ude00\/\b","":[[],{},null,true,false],"é":0}';
    my $kept = save($session->{id}, $exact, 180);
    is($kept->status, 200, 'numbers beyond double precision are accepted') || diag($kept->summary);
    my $bytes = stored($session->{id})->{diagram};
    is($bytes, $exact, 'the stored diagram equals the bytes sent');
    my $shown = api_as($user, GET => "/sessions/$session->{id}")->body;
    utf8::decode($shown);
    like($shown, qr/\Q$exact\E/, 'GET returns the bytes sent');
};

subtest 'diagram_hash is the MD5 of the compact JSON with sorted keys' => sub {
    my %hashes = (
        '{}' => '', '{ }' => '', '{"b":1,"a":2}' => '{"a":2,"b":1}', '{"a":"\u0041\/"}' => '{"a":"A/"}',
        '{"a":[1, 2.50 ,"x y"]}' => '{"a":[1,2.50,"x y"]}',
        '{"é":"ü","e":1,"f":2}' => "{\"e\":1,\"f\":2,\"\xc3\xa9\":\"\xc3\xbc\"}",
        '{"a":{"z":[],"y":{}},"B":null}' => '{"B":null,"a":{"y":{},"z":[]}}',
        '{"a":"\"\\\\\n\u001f"}' => '{"a":"\"\\\\\n\u001f"}', '{"\u0061b":1,"a":2}' => '{"a":2,"ab":1}',
    );
    is(save($session->{id}, $_, 1)->json->{diagram_hash}, md5_hex($hashes{$_}), "hash of $_") for sort keys %hashes;
};

subtest 'Autosave rejects what is not an object with a diagram and a time' => sub {
    save($session->{id}, '{"\u0061b":1,"a":2}', 1);
    my @broken = ('{"a":}', '{"a":1,}', '{"a":01}', '{"a":1.}', '{"a":+1}', '{"a":.5}', '{"a":1e}', '{"a":nul}',
        '{"a":"\x"}', '{"a":"\ud800"}', '{"a":"\u0000"}', "{\"a\":\"\n\"}", '{"a":1,"a":2}', '{"a":1,"\u0061":2}',
        '{"x":{"a":1,"b":2,"a":3}}', '{a:1}', '{"a":[1}}', '{"a":[1 2]}', '{"a" 1}', '{"a":1} x', '{"a":NaN}',
        '{"a":"unterminated}', '{"a":1', '{"a":tru e}', "{'a':1}");
    for my $diagram (@broken) {
        is_invalid(save($session->{id}, $diagram, 1), 'located', ['body'],
            "invalid JSON in a diagram is rejected: $diagram");
    }
    is_invalid(api_as($user, PUT => "/sessions/$session->{id}/autosave",
            body => "{\"diagram_data\":{\"a\":\"\xff\"},\"time_spent\":1}"), 'located', ['body'],
        'invalid UTF-8 in a diagram is rejected');
    is_invalid(api_as($user, PUT => "/sessions/$session->{id}/autosave",
            body => qq({"diagram_data":{"\\u0061b":1}\0 ,"time_spent":1})), 'located', ['body'],
        'a zero byte after a diagram that is stored already is rejected');
    is_invalid(save($session->{id}, '{"\u0061b":1,"a":2},"diagram_data":{}', 1), 'located', ['body'],
        'a body with diagram_data twice is rejected');
    is_invalid(save($session->{id}, '{"\u0061b":1,"a":2}', '1,"time_spent":2'), 'located', ['body'],
        'a body with time_spent twice is rejected');
    is_invalid(api_as($user, PUT => "/sessions/$session->{id}/autosave",
            body => '{"diagram_data":{"\u0061b":1,"a":2},"time_spent":1'), 'located', ['body'],
        'a missing closing brace after a diagram that is stored already is rejected');
    is_invalid(save($session->{id}, $_, 1), 'located', ['diagram_data'],
        "diagram_data that is not an object is rejected: $_")
        for '[]', '"{}"', 'null', '5', 'true';
    is_invalid(api_as($user, PUT => "/sessions/$session->{id}/autosave", json => {}), 'located',
        [qw(diagram_data time_spent)], 'diagram_data and time_spent are required');
    is_invalid(save($session->{id}, '{}', $_), 'located', ['time_spent'],
        "time_spent that is not a non-negative integer is rejected: $_") for '-1', '1.5', '"5"', 'null', 'true';
    is_invalid(save($session->{id}, '[]', '99999999999999999999'), 'located', [qw(diagram_data time_spent)],
        'time_spent beyond 64 bits and an array for diagram_data are reported together');
    my $ignored = '{"x":99999999999999999999,"diagram_data":{"\u0061b":1,"a":2},"time_spent":7}';
    is(api_as($user, PUT => "/sessions/$session->{id}/autosave", body => $ignored)->json->{time_spent}, 7,
        'an unknown field beyond 64 bits is ignored');
    is_invalid(save($session->{id}, '[]', -1), 'located', [qw(diagram_data time_spent)],
        'a negative time_spent and an array for diagram_data are reported together');
    is_invalid(save($session->{id}, '{"a":01}', -1), 'located', ['body'],
        'invalid JSON is reported before invalid fields');
    is(stored($session->{id})->{diagram}, '{"\u0061b":1,"a":2}', 'no rejected diagram was stored');
};

subtest 'Depth and size of a diagram are limited' => sub {
    is(save($session->{id}, '{"deep":' . '[' x 199 . ']' x 199 . '}', 1)->status, 200,
        'a diagram of 200 levels is accepted');
    is_invalid(save($session->{id}, '{"deep":' . '[' x 200 . ']' x 200 . '}', 1), 'located', ['body'],
        'a diagram of 201 levels is rejected');
    is_invalid(save($session->{id}, '{"deep":' . '[' x 100000 . ']' x 100000 . '}', 1), 'located', ['body'],
        'a diagram of 100,000 levels is rejected');
    my $eight = '{"a":"' . 'x' x (8 * 1048576 - 50) . '"}';
    is(save($session->{id}, $eight, 1)->json->{diagram_hash}, md5_hex($eight), 'a diagram of almost 8 MiB is saved');
    is_error(save($session->{id}, '{"a":"' . 'x' x (8 * 1048576) . '"}', 1), 'located', 413, qr/diagram.*8388608/,
        'a diagram above 8 MiB is rejected, with the limit');
    is(length api_as($user, GET => "/sessions/$session->{id}")->json->{diagram_data}{a}, 8 * 1048576 - 50,
        'a diagram of almost 8 MiB is returned');
    my $zeros = '{"a":[0' . ',0' x (4 * 1048576 - 50) . ']}';
    is(save($session->{id}, $zeros, 1)->json->{diagram_hash}, md5_hex($zeros),
        'a diagram of 4,000,000 values is saved');
    cmp_ok(resident('VmHWM'), '<', 200_000, 'no process has used 200 MB for it');
    my $members = join ',', map {"\"$_\":0"} 1 .. 250_001;
    is_invalid(save($session->{id}, "{$members}", 1), 'located', ['body'],
        'a diagram with 250,001 members in an object is rejected');
};

subtest 'An unchanged diagram is saved in open sessions only' => sub {
    for my $state (qw(submitted abandoned)) {
        my $id = begin()->{id};
        save($id, '{"a":1}', 5);
        sql("UPDATE learnhub.practice_sessions SET status = ?, ended_at = now() WHERE id = decode(?, 'hex')",
            $state, $id);
        is_error(save($id, '{"a":1}', 600), 'located', 400, "an unchanged diagram when $state is rejected");
        is(stored($id)->{time_spent}, 5, "a rejected unchanged diagram when $state changes nothing");
    }
};

# Stores a diagram as if another node had saved it.
sub store_elsewhere {
    my ($id, $diagram) = @_;
    sql(q{UPDATE learnhub.practice_sessions SET diagram_data = ?::json, diagram_hash = md5(?),
        diagram_fingerprint = sha256(convert_to(?, 'UTF8')) WHERE id = decode(?, 'hex')}, ($diagram) x 3, $id);
    return;
}

subtest 'What other nodes have saved decides, not what this node remembers' => sub {
    my $id = begin()->{id};
    my ($first, $second) = map {qq({"a":"@{[$_ x 3000]}"})} 'x', 'y';
    save($id, $_, 1) for $first, $second;
    store_elsewhere($id, $first);
    is(save($id, $second, 2)->json->{diagram_hash}, md5_hex($second), 'the diagram that was saved here last is saved');
    is_deeply([@{ stored($id) }{qw(diagram time_spent)}], [$second, 2], 'it replaces the one of another node');
    store_elsewhere($id, $first);
    my $before = toast_state();
    is(save($id, $first, 3)->json->{diagram_hash}, md5_hex($first), 'the diagram that another node saved is saved');
    is_deeply([@{ stored($id) }{qw(diagram time_spent)}, toast_state()], [$first, 3, $before],
        'it is stored already, and not written again');
};

subtest 'Diagrams are compressed by lz4 if the server supports it' => sub {
    my ($supported) = sql(q{SELECT 'lz4' = ANY (enumvals) AS lz4 FROM pg_settings
        WHERE name = 'default_toast_compression'});
    my $id = begin()->{id};
    save($id, '{"a":"' . 'compressible ' x 500 . '"}', 1);
    my ($found) = sql(q{SELECT pg_column_compression(diagram_data) AS method FROM learnhub.practice_sessions
        WHERE id = decode(?, 'hex')}, $id);
    is($found->{method}, $supported && $supported->{lz4} ? 'lz4' : 'pglz', 'a saved diagram');
};

my $shared;

# Saves compete with the end of their session: a save either succeeds before it or changes nothing.
subtest 'Concurrent autosaves and the end of their session' => sub {
    my @ends = ([DELETE => '/sessions/%s', 204, 'abandoned'],
        [POST => '/submissions/from-session/%s', 201, 'submitted']);
    for my $end (@ends) {
        my ($method, $path, $status, $state) = @$end;
        for my $round (1 .. 4) {
            my $id = begin()->{id};
            save($id, '{"writer":0}', 100);
            my @replies = parallel 9, sub {
                my ($i) = @_;
                return api_as($user, $method => sprintf $path, $id)->status if $i == 4;
                my @statuses = map {
                    save($id, $i % 2 ? '{"writer":0}' : qq({"writer":"$i.$_"}), $i * 10 + $_)->status
                } 1 .. 4;
                return join ' ', @statuses;
            };
            is($replies[4], $status, "$state: the end of the session succeeds");
            my @odd = grep { !/^(?:200 )*(?:200|400)(?: 400)*$/ } @replies[0 .. 3, 5 .. 8];
            is_deeply(\@odd, [], "$state: saves succeed until the session ends, and then get 400");
            my $row = stored($id);
            is($row->{status}, $state, "$state: no save opens the session again");
            ok($row->{last_saved_at} le $row->{ended_at}, "$state: no save is later than the end");
            my ($i, $n) = (int $row->{time_spent} / 10, $row->{time_spent} % 10);
            my $drawn = $row->{time_spent} == 100 || $i % 2 ? '{"writer":0}' : qq({"writer":"$i.$n"});
            is_deeply([@$row{qw(diagram diagram_hash)}], [$drawn, md5_hex($drawn)],
                "$state: time, diagram and hash are of one save");
            next if $row->{time_spent} == 100;
            is((split ' ', $replies[$i])[$n - 1], 200, "$state: the save that is stored has succeeded");
        }
    }
};

subtest 'Concurrent autosaves store one diagram as a whole' => sub {
    $shared = begin();
    my @saves = parallel 12, sub {
        my ($i) = @_;
        save($shared->{id}, qq({"writer":$i,"filler":"@{['y' x 5000]}"}), $i);
    };
    is_deeply([map { $_->{status} } @saves], [(200) x 12], '12 concurrent autosaves succeed');
    my $last = stored($shared->{id});
    my ($writer) = $last->{diagram} =~ /"writer":(\d+)/;
    my @moments = parallel 8, sub {
        my ($i) = @_;
        my @seen;
        for (1 .. 15) {
            save($shared->{id}, qq({"writer":$i}), $i) if $i < 6;
            push @seen, stored($shared->{id})->{last_saved_at} if $i >= 6;
        }
        return \@seen;
    };
    is_deeply([map {@$_} @moments[6, 7]], [map { sort @$_ } @moments[6, 7]], 'last_saved_at never goes back');
    is_deeply([$last->{time_spent}, $last->{diagram_hash}], [$writer, $saves[$writer]{json}{diagram_hash}],
        'time, hash and diagram come from the same autosave');
};

# Each action: status before => status after; other statuses get 400.
subtest 'Each action is allowed in certain states only' => sub {
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
            sql("UPDATE learnhub.practice_sessions SET status = ?, last_saved_at = '2024-01-01',
                updated_at = '2024-01-01', ended_at = CASE WHEN ? IN ('submitted', 'abandoned') THEN now() END
                WHERE id = decode(?, 'hex')", $state, $state, $id);
            my ($method, $path, @body) = @{ $sent{$action} };
            my $reply = api_as($user, $method, "/sessions/$id$path", @body);
            my $row = stored($id);
            my $next = $after{$action}{$state};
            is($row->{status}, $next || $state, "$action when $state leads to " . ($next || $state));
            if (!$next) {
                is_error($reply, 'located', 400, "$action when $state is rejected");
                is($row->{updated_at} =~ /^(2024-01-01|2023-12-31)/ && $row->{time_spent}, 0,
                    "a rejected $action when $state changes nothing");
                next;
            }
            if ($action eq 'DELETE') {
                is_deeply([$reply->status, $reply->body], [204, ''], "DELETE when $state returns 204");
                like(api_as($user, GET => "/sessions/$id")->json->{ended_at}, $millis,
                    "a session abandoned when $state stays readable and has an end");
                next;
            }
            is($reply->status, 200, "$action when $state returns 200") || diag($reply->summary);
            my $now = is_session($reply->json, "$action when $state");
            is_deeply(api_as($user, GET => "/sessions/$id")->json, $now,
                "$action when $state returns the state after it");
            my $saves = $action eq 'autosave' || "$action $state" eq 'pause active';
            is($now->{time_spent}, $saves ? 600 : 0,
                "$action when $state: time_spent changes with autosave and pause only");
            is($now->{last_saved_at} gt '2025', !!$saves,
                "$action when $state: last_saved_at changes with autosave and pause only");
            is($now->{updated_at} gt '2025', !!($saves || $action eq 'chat' || "$action $state" eq 'resume paused'),
                "$action when $state: updated_at changes if the session changed");
        }
    }
};

subtest 'A paused session stays open, an abandoned one does not' => sub {
    is_invalid(api_as($user, PUT => "/sessions/$shared->{id}/pause", json => $_), 'located', ['time_spent'],
        'pause requires a non-negative time_spent') for { }, { time_spent => -1 }, { time_spent => 'x' };
    is(api_as($user, PUT => "/sessions/$shared->{id}/resume", json => { ignored => 1 })->status, 200,
        'resume ignores a body');
    api_as($user, PUT => "/sessions/$shared->{id}/pause", json => { time_spent => 1 });
    is(api_as($user, GET => "/sessions/problem/$shared->{problem_id}")->json->{status}, 'paused',
        'a paused session is found by its problem');
    is_deeply([api_as($user, POST => '/sessions/', json => { problem_id => $shared->{problem_id} })->json->{status}],
        ['paused'], 'POST returns a paused session without resuming it');
    api_as($user, DELETE => "/sessions/$shared->{id}");
    is(api_as($user, GET => "/sessions/problem/$shared->{problem_id}")->body, 'null',
        'an abandoned session is not found by its problem');
    is(api_as($user, POST => '/sessions/', json => { problem_id => $shared->{problem_id} })->status, 201,
        'POST begins a new session after an abandoned one');
};

subtest 'Chat messages are appended in order' => sub {
    my $talk = begin();
    my $changed = api_as($user, POST => "/sessions/$talk->{id}/chat",
        json => { %message, timestamp => 'x', extra => 1 })->json;
    is_deeply([map { keys_of($_) } @{ $changed->{chat_messages} }], [[qw(content role timestamp)]],
        'keys of a message');
    is_deeply([@{ $changed->{chat_messages}[0] }{qw(role content)}], ['user', 'How?'], 'role and content are stored');
    like($changed->{chat_messages}[0]{timestamp}, $millis,
        'the timestamp is set by the server, in UTC with milliseconds');
    $changed = api_as($user, POST => "/sessions/$talk->{id}/chat",
        json => { role => 'assistant', content => "  So: \"ö\"\n" })->json;
    is($changed->{chat_messages}[1]{content}, "  So: \"ö\"\n", 'the content is kept byte for byte');
    my @invalid = ([role => 'system'], [role => undef], [content => ''], [content => undef], [content => 5],
        [content => 'x' x 32769]);
    is_invalid(api_as($user, POST => "/sessions/$talk->{id}/chat", json => { %message, @$_ }), 'located', [$_->[0]],
        "an invalid $_->[0] is rejected") for @invalid;
    is_invalid(api_as($user, POST => "/sessions/$talk->{id}/chat", json => {}), 'located', [qw(content role)],
        'role and content are required');
    parallel(10, sub { api_as($user, POST => "/sessions/$talk->{id}/chat", json => \%message)->status });
    is(scalar @{ api_as($user, GET => "/sessions/$talk->{id}")->json->{chat_messages} }, 12,
        'of 10 concurrent messages none is lost');
    sql("UPDATE learnhub.practice_sessions SET chat_messages = (SELECT jsonb_agg(n) FROM generate_series(1, 1000) n)
        WHERE id = decode(?, 'hex')", $talk->{id});
    is_error(api_as($user, POST => "/sessions/$talk->{id}/chat", json => \%message), 'located', 400, qr/1000/,
        'a chat has at most 1000 messages');
    is(scalar @{ JSON::XS->new->decode(stored($talk->{id})->{chat_messages}) }, 1000,
        'a message beyond 1000 is not stored');
    sql("UPDATE learnhub.practice_sessions SET chat_messages = to_jsonb(ARRAY[repeat('x', 1000000)])
        WHERE id = decode(?, 'hex')", $talk->{id});
    is_error(api_as($user, POST => "/sessions/$talk->{id}/chat", json => \%message), 'located', 400, qr/1 MB/,
        'a chat has at most 1 MB');
    is(scalar @{ JSON::XS->new->decode(stored($talk->{id})->{chat_messages}) }, 1,
        'a message beyond 1 MB is not stored');
    my $busy = begin();
    parallel(12, sub { api_as($user, POST => "/sessions/$busy->{id}/chat", json => \%message)->status });
    my @spoken = map { $_->{timestamp} } @{ api_as($user, GET => "/sessions/$busy->{id}")->json->{chat_messages} };
    is_deeply(\@spoken, [sort @spoken], '12 concurrent messages are in the order of their timestamps');
};

subtest 'A session remains when its problem is deleted' => sub {
    my $fleeting = begin();
    api_as($user, DELETE => "/problems/$fleeting->{problem_id}");
    is(api_as($user, GET => "/sessions/$fleeting->{id}")->json->{problem_id}, $fleeting->{problem_id},
        'the session stays readable when its problem is deleted');
    is(save($fleeting->{id}, '{"a":1}', 5)->status, 200, 'the session can still be saved');
    is_error(api_as($user, POST => '/sessions/', json => { problem_id => $fleeting->{problem_id} }), 'located', 404,
        'no session begins for a deleted problem');
    is(api_as($user, POST => "/submissions/from-session/$fleeting->{id}")->status, 201,
        'the session can still be submitted');
};

my $worker = signup();

# Requests the whole list on a connection of its own, without reading the response.
sub request_list {
    my (%with) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $with{port} || port()) or die $!;
    print $socket "GET /sessions/user/my-sessions HTTP/1.1\r\nHost: x\r\n",
        "Authorization: Bearer $worker->{token}\r\n\r\n";
    return $socket;
}

my $active = "FROM pg_stat_activity
    WHERE usename = 'learnhub' AND query LIKE '%practice_sessions%' AND state = 'active'";
my $terminate = "SELECT pg_terminate_backend(pid) $active";
sub all_idle { return eventually(sub { !@{ $superuser->selectall_arrayref("SELECT pid $active") } }) }

# Reads the whole list while another process terminates the backend that sends it: [response, whether that succeeded],
# or undef if the list was complete before.
sub lose_backend {
    my ($server) = @_;
    my ($response, $lost) = parallel 2, sub {
        return $_[0] ? terminate_sender($server) : summary_of_list();
    };
    return $lost && [$response, $lost];
}

sub summary_of_list {
    my $reply = api_as($worker, GET => '/sessions/user/my-sessions');
    my @n = eval {
        map { $_->{diagram_data}{n} } @{ JSON::XS::decode_json($reply->body) };
    };
    my $good = @n == 100 && $n[0] == 100 && $n[99] == 1;
    return { status => $reply->status, length => length $reply->body, problem => $good ? undef : "@n" };
}

sub terminate_sender {
    my ($server) = @_;
    my ($file) = @{ eventually(sub { my @files = spool_files($server); @files && \@files }, 5) || return 0 };
    kill STOP => $file->[0];
    my $ended = $superuser->clone->selectall_arrayref($terminate);
    kill CONT => $file->[0];
    return scalar @$ended;
}

my @mine;

subtest "my-sessions lists the caller's sessions, newest first" => sub {
    is(api_as($worker, GET => '/sessions/user/my-sessions')->body, '[]', 'the list of a new user is empty');
    @mine = reverse map { begin($worker) } 1 .. 5;
    my $list = api_as($worker, GET => '/sessions/user/my-sessions');
    is_deeply([$list->status, $list->json], [200, \@mine], 'the list is a bare array, newest first');
    ok($list->header('Content-Length') && !$list->header('Transfer-Encoding'), 'a short list is sent with its length');
    is($list->header('Cache-Control'), 'private, no-cache', 'shared caches must not keep the list');
    is_deeply(api_as($worker, GET => '/sessions/user/my-sessions?skip=1&limit=2')->json, [@mine[1, 2]],
        'skip and limit select a range');
    is(api_as($worker, GET => '/sessions/user/my-sessions?skip=5')->body, '[]',
        'a skip beyond the end returns an empty list');
    is_invalid(api_as($worker, GET => "/sessions/user/my-sessions?$_"), 'located', [/^(\w+)/], "$_ is rejected")
        for 'skip=-1', 'skip=x', 'limit=0', 'limit=101';
    is(api_as($worker, HEAD => '/sessions/user/my-sessions')->status, 200, 'HEAD returns 200');
};

subtest 'A long list is streamed in limited memory' => sub {
    sql("INSERT INTO learnhub.practice_sessions (user_id, problem_id, diagram_data)
        SELECT u.id, int8send(n) || int4send(0), json_build_object('n', n, 'filler',
            (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 15625) i))
        FROM learnhub.users u, generate_series(1, 100) n WHERE u.email = ?", $worker->{email});

    my $before = resident();
    cmp_ok($before, '>', 0, 'the memory of the processes is measured');
    my (undef, $received, $most) = receive_measured($worker, '/sessions/user/my-sessions');
    cmp_ok(length $received, '>', 50_000_000, '100 sessions of 500 KB are received');
    is_deeply([(map { $_->{diagram_data}{n} } @{ JSON::XS::decode_json($received) })[0, 99]], [100, 1],
        'all sessions are received, newest first');
    cmp_ok($most, '>', 0, 'the memory is measured while the list is received');
    cmp_ok($most - $before, '<', 12_000, 'a process grows by less than 12 MB');
    my $head = api_as($worker, HEAD => '/sessions/user/my-sessions');
    is_deeply([$head->status, $head->body], [200, ''], 'HEAD of a long list returns no body');
};

subtest 'Clients that leave a long list early release their connections' => sub {
    for (1 .. 12) {
        my $socket = request_list();
        sysread $socket, my $first, 65536;
        like($first, qr/^HTTP\/1.1 200/, 'a client that leaves early has received the status line') if $_ == 1;
        close $socket;
    }
    is(api_as($worker, GET => '/sessions/user/my-sessions?limit=2&skip=100')->json->[0]{id}, $mine[0]{id},
        'a request gets a connection after 12 clients left early');
    is(eventually(sub { !spool_files(LearnHub::Server->main) }), 1, 'their temporary files are closed');
};

# A user may read eight lists at once in a process.
subtest 'Concurrent long lists' => sub {
    my @prompt = parallel(7, sub { api_as($worker, GET => '/sessions/user/my-sessions?limit=4')->status });
    is_deeply(\@prompt, [(200) x 7], '7 concurrent long lists succeed');
};

subtest 'Slow readers of long lists leave threads and connections to others' => sub {
    my @slow = map {
        my $socket = request_list();
        sysread $socket, my $begun, 16;
        [$socket, $begun];
    } 1 .. 14;
    my @full = grep { $_->[1] =~ / 503/ } @slow;
    cmp_ok(scalar @full, '>', 0, 'readers beyond the limit get 503');
    cmp_ok(scalar(@slow - @full), '>=', 3, 'readers within the limit are served');
    is(api_as($other, GET => '/sessions/user/my-sessions')->status, 200, 'a short list is served beside slow readers')
        for 1 .. 5;
    is(api(GET => '/problems/search/query?q=nothing')->status, 200, 'a search is served beside slow readers');
    close $_->[0] for @slow;
    is(eventually(sub { api_as($worker, GET => '/sessions/user/my-sessions?limit=2')->status == 200 }), 1,
        'a long list is served after the slow readers left');
};

# The process is stopped while it receives rows, so that the backend waits for it.
subtest 'A list whose backend is lost before it is complete is read again' => sub {
    my $server = LearnHub::Server->main;
    is(eventually(sub { !spool_files($server) }), 1, 'the files of the slow readers are closed');
    my ($response, $lost) = @{ eventually(sub { all_idle(); lose_backend($server) }, 30) || [] };
    is($lost, 1, 'the backend is terminated after it has sent rows');
    is($response->{status}, 200, 'the list is returned');
    cmp_ok($response->{length}, '>', 50_000_000, 'it is complete');
    is($response->{problem}, undef, 'it is valid JSON, newest first');
};

# Clients detect by the missing last chunk that the response is incomplete.
subtest 'An aborted response has no last chunk' => sub {
    expect_log(qr/LH0007: /);
    my $direct = second_httpd("LearnHubSpool 1048576\n"); # the list is sent while it is read
    all_idle();
    my $broken = request_list(port => $direct->port);
    my $part = '';
    sysread $broken, $part, 65536, length $part while length $part < 1_000_000;
    is_deeply($superuser->selectall_arrayref($terminate), [[1]], 'the database backend of the response is terminated');
    1 while sysread $broken, $part, 1 << 20, length $part;
    ok(scalar($part =~ /^HTTP\/1.1 200.*?Transfer-Encoding: chunked/s),
        'the response has begun before the database fails');
    isnt(substr($part, -7), "\r\n0\r\n\r\n", 'an aborted response has no last chunk');
    cmp_ok(length $part, '<', 50_000_000, 'an aborted response is incomplete');
    is(eventually(sub { api_as($worker, GET => '/sessions/user/my-sessions?limit=1')->status == 200 }), 1,
        'a request after an aborted response succeeds');
};

done_testing;
