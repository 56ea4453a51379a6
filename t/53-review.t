# SPDX-License-Identifier: Apache-2.0
# Practice without a language model: the submissions of a problem.
use strict;
use warnings;
use utf8;

use LearnHub::Test;

my ($user, $other) = map { signup() } 1 .. 2;
my $unknown_id = '0' x 24;
my $millis = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

# The body of a reply; dies unless it is a success.
sub json_of { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

# Creates a problem; returns its id.
sub problem {
    my (%with) = @_;
    my %body = (title => 'A link shortener', description => 'Design it.', difficulty => 'easy', %with);
    return json_of(api_as($user, POST => '/problems/', json => \%body))->{problem}{id};
}

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

done_testing();
