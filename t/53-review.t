# SPDX-License-Identifier: Apache-2.0
# Practice: evaluations of drawings without a language model, and the submissions of a problem.
use strict;
use warnings;
use utf8;

use LearnHub::Review;
use LearnHub::Test;

my ($user, $other) = map { signup() } 1 .. 2;
my $unknown_id = '0' x 24;
my $millis = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
my $no_model = qr/No language model took part/;
my @requirements = ('Store links in a database', 'Balance the load', 'Rate limiting per user', 'A queue for mails');
my $problem = problem(requirements => \@requirements);

sub check { my ($caller, $id, %with) = @_; return api_as($caller, POST => "/sessions/$id/check", %with) }
sub submit { my ($caller, $id, %with) = @_; return api_as($caller, POST => "/sessions/$id/submit", %with) }

subtest "The caller's submissions of a problem are listed, newest first" => sub {
    my ($problem, $another) = (problem(), problem());
    my $path = "/sessions/problem/$problem/submissions";
    my $submit = sub {
        my ($caller, $problem, %with) = @_;
        return json_of(api_as($caller, POST => '/submissions/', json => { problem_id => $problem, %with }))
            ->{submission}{id};
    };
    is(api_as($user, GET => $path)->body, '[]', 'without submissions the list is empty');
    is(api_as($user, GET => "/sessions/problem/$unknown_id/submissions")->body, '[]',
        'for an unknown problem the list is empty');
    my $first = $submit->($user, $problem, score => 70, time_spent => 9, diagram_data => { a => 1 });
    $submit->($other, $problem);
    $submit->($user, $another);
    my $session = json_of(api_as($user, POST => '/sessions/', json => { problem_id => $problem }))->{id};
    my $second = json_of(api_as($user, POST => "/submissions/from-session/$session"))->{submission}{id};
    my $list = api_as($user, GET => $path)->json;
    is_deeply([map { $_->{submission_id} } @$list], [$second, $first],
        'only submissions of the caller and of this problem, newest first');
    like(delete $_->{submitted_at}, $millis, 'submitted_at is a UTC time with milliseconds') for @$list;
    my %expected = (submission_id => $first, session_id => undef, score => 70, max_score => 100, time_spent => 9);
    is_deeply($list->[1], { %expected, diagram_data => { a => 1 } }, 'the keys of a submission');
    is($list->[0]{session_id}, $session, 'session_id is the session it was made from');
    is_deeply([map { $_->{submission_id} } @{ api_as($user, GET => "$path?skip=1&limit=1")->json }], [$first],
        'skip and limit select a range');
    is_invalid(api_as($user, GET => "$path?$_"), 'located', [/^(\w+)/], "$_ is rejected")
        for 'skip=-1', 'limit=0', 'limit=101';
    is_error(api_as(undef, GET => $path), 'located', 401, 'a token is required');
    is_error(api_as($user, GET => '/sessions/problem/x/submissions'), 'located', 404, 'an invalid id is 404');
};

subtest 'Without a model, check compares labels with requirements' => sub {
    my $id = drawn($user, $problem, 'Databases', 'Load Balancer');
    my $reply = check($user, $id, json => {});
    my $checked = json_of($reply);
    is($reply->status, 200, 'the status is 200');
    is_deeply([keys_of($checked), keys_of($checked->{feedback})],
        [[qw(cached feedback timestamp)], [qw(implemented missing next_steps)]], 'the keys of a check');
    like($checked->{timestamp}, $millis, 'timestamp is a UTC time with milliseconds');
    is($checked->{cached}, false, 'the evaluation was not stored');
    my $feedback = $checked->{feedback};
    is_deeply($feedback->{implemented}, [@requirements[0, 1]], 'requirements that a label names');
    is_deeply($feedback->{missing}, [@requirements[2, 3]], 'requirements that no label names');
    like("@{ $feedback->{next_steps} }", qr/\Q$requirements[2]\E.*\Q$requirements[3]\E.*$no_model/,
        'next_steps name the missing requirements and say that no model took part');
    is_deeply(json_of(check($user, $id))->{feedback}, $feedback, 'the same drawing gets the same answer, without body');
    is(stored_session($id)->{status}, 'active', 'check does not end the session');
    draw($user, $id, { nodes => [{ id => 1, data => { label => 'mail queue' } }], edges => [] });
    is_deeply(json_of(check($user, $id))->{feedback}{implemented}, [$requirements[3]], 'nodes and edges are read');
    is_deeply([sql('SELECT 1 FROM learnhub.evaluations')], [], 'evaluations without a model are not stored');
};

my @drawings = (
    '{}', '{"elements":[]}', '{"elements":[{"type":"text","text":"Database","isDeleted":true}]}', '{"nodes":[]}',
    '{"shapes":[{}]}', '{"elements":{"0":{}}}',
);

subtest 'An empty drawing is rejected' => sub {
    my $id = session($user, problem());
    is_error($_->($user, $id), 'located', 400, qr/empty/, 'a session without a drawing is rejected')
        for \&check, \&submit;
    for my $drawing (@drawings) {
        my $body = qq({"diagram_data":$drawing,"time_spent":1});
        my $reply = api_as($user, PUT => "/sessions/$id/autosave", body => $body);
        is($reply->status, 200, "$drawing is saved");
        is_error($_->($user, $id), 'located', 400, qr/empty/, "$drawing is rejected") for \&check, \&submit;
    }
    is(stored_session($id)->{status}, 'active', 'the session stays open');
};

subtest 'Without a model, submit ends the session with the score 0' => sub {
    my $id = drawn($user, $problem, 'Databases', 'Load Balancer');
    my $said = json_of(api_as($user, POST => "/sessions/$id/chat", json => { role => 'user', content => 'Hi' }));
    my $reply = submit($user, $id, json => {});
    my $result = json_of($reply);
    is($reply->status, 200, 'the status is 200');
    is_deeply(keys_of($result), [qw(breakdown feedback max_score problem_id resources score session_id submission_id
                timestamp tips)], 'the keys of a result');
    is_deeply([@$result{qw(session_id problem_id score max_score resources)}],
        [$id, $problem, 0, 100, { videos => [], docs => [] }], 'ids, score and resources');
    like($result->{timestamp}, $millis, 'timestamp is a UTC time with milliseconds');
    is_deeply([map { keys_of($_) } @{ $result->{breakdown} }], [([qw(achieved note points requirement)]) x 5],
        'the breakdown has an explanation and an entry for each requirement');
    like($result->{breakdown}[0]{note}, qr/$no_model.*score is 0/, 'the breakdown explains the score');
    is_deeply([map { [$_->{requirement}, $_->{achieved}] } @{ $result->{breakdown} }[1 .. 4]],
        [map { [$requirements[$_], $_ < 2 ? true : false] } 0 .. 3], 'the breakdown has all requirements');
    is_deeply([grep { $_->{points} } @{ $result->{breakdown} }], [], 'no points are given');
    like($result->{tips}[0], $no_model, 'the tips say that no model took part');
    is_deeply($result->{feedback}{implemented}, [@requirements[0, 1]], 'the feedback is that of check');
    my $session = json_of(api_as($user, GET => "/sessions/$id"));
    is($session->{status}, 'submitted', 'the session is submitted');
    like($session->{ended_at}, $millis, 'the session has ended');
    my $made = json_of(api_as($user, GET => "/submissions/$result->{submission_id}"));
    is_deeply([@$made{qw(status score time_spent problem_id diagram_data chat_messages)}],
        ['completed', 0, 42, $problem, scene('Databases', 'Load Balancer'), $said->{chat_messages}],
        'the submission has drawing, time and chat of the session');
    is_deeply($made->{feedback}, { strengths => $result->{feedback}{implemented},
            missing_components => $result->{feedback}{missing}, improvements => $result->{feedback}{next_steps} },
        'the submission has the feedback');
    is(api_as($user, GET => "/sessions/problem/$problem/submissions")->json->[0]{submission_id},
        $result->{submission_id}, 'the submission is listed');
    is_error(submit($user, $id), 'located', 400, qr/submitted already/, 'a second submit is rejected');
    is_error(check($user, $id), 'located', 400, qr/submitted already/, 'a submitted session cannot be checked');
    is_error(api_as($user, POST => "/submissions/from-session/$id"), 'located', 400, qr/submitted/,
        'from-session is rejected after a submit');
};

subtest 'Sessions that cannot be evaluated' => sub {
    my $id = drawn($user, undef, 'Database');
    for my $action (\&check, \&submit) {
        is_error($action->($other, $id), 'located', 404, qr/Session not found/, "another user's session is 404");
        is_error($action->($user, $unknown_id), 'located', 404, qr/Session not found/, 'an unknown session is 404');
        is_error($action->(undef, $id), 'located', 401, 'a token is required');
    }
    api_as($user, PUT => "/sessions/$id/pause", json => { time_spent => 5 });
    is(check($user, $id)->status, 200, 'a paused session can be checked');
    api_as($user, DELETE => "/sessions/$id");
    is_error($_->($user, $id), 'located', 400, qr/abandoned/, 'an abandoned session is rejected') for \&check, \&submit;
    my $gone = problem();
    $id = drawn($user, $gone, 'Database');
    sql(q{DELETE FROM learnhub.problems WHERE id = decode(?, 'hex')}, $gone);
    is_error($_->($user, $id), 'located', 404, qr/Problem not found/, 'a deleted problem is 404') for \&check, \&submit;
    is(stored_session($id)->{status}, 'active', 'the session stays open');
};

subtest 'Problems without and with many requirements' => sub {
    my $result = json_of(submit($user, drawn($user, problem(), 'x')));
    is_deeply([@{ $result->{feedback} }{qw(implemented missing)}, scalar @{ $result->{breakdown} }], [[], [], 1],
        'without requirements the lists are empty');
    my @many = map { "Requirement number $_ " . 'ü' x 400 } 1 .. 60;
    $result = json_of(submit($user, drawn($user, problem(requirements => \@many), 'x')));
    is(scalar @{ $result->{feedback}{missing} }, 50, 'at most 50 requirements are evaluated');
    is($result->{feedback}{missing}[0], substr($many[0], 0, 300), 'a requirement is cut after 300 characters');
    is(scalar @{ $result->{feedback}{next_steps} }, 6, 'at most five missing requirements become next steps');
};

subtest 'Concurrent submits make one submission' => sub {
    my $id = drawn($user, $problem, 'Database');
    my @statuses = sort { $a <=> $b } parallel(20, sub { return submit($user, $id)->status });
    is_deeply(\@statuses, [200, (400) x 19], 'one request succeeds');
    my ($made) = sql(q{SELECT count(*) AS n FROM learnhub.submissions WHERE session_id = decode(?, 'hex')}, $id);
    is($made->{n}, 1, 'there is one submission');
};

subtest 'A drawing of 8 MiB is read' => sub {
    my $id = session($user, $problem);
    my $line = '{"type":"freedraw","points":[' . '[1.5,2],' x 1_048_000 . '[0,0]]}';
    sql(q{UPDATE learnhub.practice_sessions SET diagram_data = ?::json WHERE id = decode(?, 'hex')},
        qq({"elements":[$line,{"type":"text","text":"Rate limiter"}]}), $id);
    is_deeply(json_of(check($user, $id))->{feedback}{implemented}, [$requirements[2]], 'its labels are found');
    is(json_of(submit($user, $id))->{score}, 0, 'it is submitted');
};

done_testing();
