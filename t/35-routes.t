# SPDX-License-Identifier: Apache-2.0
# Tests of every route in the route table: its statements can be prepared against the schema; it rejects missing tokens,
# other roles, missing fields and other methods; a valid request succeeds and returns exactly the keys that the route
# declares. A new route fails here until it has a case in t/lib/LearnHub/Cases.pm.
use strict;
use warnings;

use LearnHub::Cases;
use LearnHub::Conditional;
use LearnHub::Routes;
use LearnHub::Test;

create_callers();
my $table = LearnHub::Routes::table();
my @routes = @{ $table->{routes} };
cmp_ok(scalar @routes, '>', 20, 'the table has routes');

subtest 'every statement can be prepared against the schema' => sub {
    my $number = 0;
    for my $statement (@{ $table->{statements} }) {
        my $name = 'statement_' . $number++;
        my $prepared = eval { database()->do("PREPARE $name AS $statement->{sql}", { pg_direct => 1 }) };
        ok($prepared, "$statement->{label}: statement $number can be prepared") || diag($@);
    }
};

# ---- keys of responses ----

# The keys that a route declares, nested: {id => 1, creator => {id => 1, ...}, participants => [{...}]}.
sub declared {
    my ($fields) = @_;
    my %keys;
    for my $field (@$fields) {
        my ($place, @path) = (\%keys, split /\./, $field->{name});
        $place = $place->{ shift @path } ||= {} while @path > 1;
        my $items = @{ $field->{items} } ? declared($field->{items}) : 1;
        $place->{ $path[0] } = $field->{list} ? [$items] : $items;
    }
    return \%keys;
}

# The keys of a response, as deep as declared. The first entry of an array stands for all; an empty array matches.
sub found {
    my ($response, $declared) = @_;
    if (ref $declared eq 'ARRAY') {
        return 'no array' if ref $response ne 'ARRAY';
        return @$response ? [found($response->[0], $declared->[0])] : $declared;
    }
    return 1 if ref $declared ne 'HASH';
    return { map { $_ => found($response->{$_}, $declared->{$_}) } keys %$response };
}

# The object in the envelope of a route's response.
sub object_of {
    my ($route, $response) = @_;
    $response = $response->{data} if $route->{format} eq 'envelope';
    $response = $response->{ $route->{key} } if $route->{key};
    return $response->{results}[0] if $route->{shape} eq 'page';
    return $route->{shape} =~ /all|skip_limit/ ? $response->[0] : $response;
}

# ---- the tests of a route ----

my %methods;
for my $route (@routes) {
    push @{ $methods{ $route->{path} } }, $route->{method};
}

sub test_roles {
    my ($route) = @_;
    my ($method, $path) = ($route->{method}, path_of($route));
    is_error(api($method => $path), $route->{format}, 401, "$route->{name}: 401 without a token");
    for my $role (grep { !($route->{roles} & $role_bit{$_}) } sort keys %role_bit) {
        my $reply = api($method => $path, token => $caller{$role}{token}, json => {});
        is_error($reply, $route->{format}, 403, "$route->{name}: 403 as $role");
    }
    return;
}

# Fields that a route's check requires if another field is absent too.
my %required_by_check =
    ('coding_token.login' => 'email', 'xp_login.login' => 'username', 'xp_login.register' => 'email');

sub test_required_fields {
    my ($route) = @_;
    my @required = map { $_->{name} } grep { $_->{required} } @{ $route->{body} };
    push @required, grep {defined} $required_by_check{ $route->{name} };
    my ($allowed) = grep { $route->{roles} & $role_bit{$_} } qw(instructor admin student);
    return if !@required;
    my $reply = api_as($allowed && $caller{$allowed}, $route->{method} => path_of($route), json => {});
    is_invalid($reply, $route->{format}, \@required, "$route->{name}: all required fields are reported at once");
    return;
}

sub test_methods {
    my ($route) = @_;
    my ($name, $path, @methods) = ($route->{name}, path_of($route), @{ $methods{ $route->{path} } });
    my %served = map { $_ => 1 } @methods;
    my ($other) = grep { !$served{$_} } qw(DELETE PATCH PUT POST);
    my $reply = api($other => $path);
    is_error($reply, $route->{format}, 405, "$name: 405 for $other");
    my @expected = sort 'OPTIONS', map { $_, $_ eq 'GET' ? 'HEAD' : () } @methods;
    is_deeply([sort split /, /, $reply->header('Allow')], \@expected, "$name: Allow lists the methods of the path");
    is(api(OPTIONS => $path)->header('Allow'), $reply->header('Allow'), "$name: OPTIONS returns the same Allow");
    return;
}

sub test_success {
    my ($route) = @_;
    my ($name, $id, %with) = ($route->{name}, case_of($route));
    my $reply = api($route->{method} => path_of($route, $id), %with);
    is($reply->status, $route->{status}, "$name: success is $route->{status}") || diag($reply->summary);
    return is($reply->body, '', "$name: the response has no body") if $route->{shape} eq 'nothing';
    return like($reply->header('Content-Type'), qr{^image/}, "$name: the response is a picture")
        if $route->{shape} eq 'bytes';
    return is((split /;/, $reply->header('Content-Type'))[0], (split ' ', $route->{media})[0],
        "$name: the response has the media type of the route")
        if $route->{shape} eq 'document';
    return like($reply->header('Content-Type'), qr{^text/event-stream}, "$name: the response is an event stream")

        if $route->{shape} eq 'events';
    my $declared = declared($route->{returns});
    return is_deeply($reply->json, {}, "$name: the route declares no keys and returns an empty object") if !%$declared;
    return is_deeply(found(object_of($route, $reply->json), $declared), $declared,
        "$name: the response has exactly the declared keys") || diag($reply->summary);
}

my %with_get = map { $_->{path} => 1 } grep { $_->{method} eq 'GET' && $_->{shape} ne 'all' } @routes;
my $conditional = 0;

for my $route (@routes) {
    subtest "$route->{name}: $route->{method} $route->{path}" => sub {
        test_roles($route) if $route->{roles};
        test_required_fields($route);
        test_methods($route);
        ok($case{ $route->{name} }, "$route->{name} has a case in t/lib/LearnHub/Cases.pm") && test_success($route);
        if ($route->{method} !~ /^(?:GET|POST)$/ && $with_get{ $route->{path} }) {
            my ($id, %with) = case_of($route);
            if_match_holds($route, path_of($route, $id), $id, %with);
            $conditional++;
        }
    };
}
cmp_ok($conditional, '>=', 19, 'the table has routes for If-Match');
my %known = map { $_->{name} => 1 } @routes;
is_deeply([grep { !$known{$_} } sort keys %case], [], 'every case belongs to a route');

done_testing();
