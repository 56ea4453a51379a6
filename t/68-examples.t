# SPDX-License-Identifier: Apache-2.0
# The example of each operation of /openapi.json is a request that succeeds. The ids, names and tokens in it are
# replaced by those of t/lib/LearnHub/Cases.pm, which creates what the request refers to. If the request changes
# something, the example of its response has the same words of closed sets, truth values and nulls as the response. The
# values of each example fit together.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use JSON::XS ();
use LearnHub::Cases;
use LearnHub::Routes;
use LearnHub::Test;

create_callers();
my $document = api(GET => '/openapi.json')->json or die 'no /openapi.json';

# Members that refer to something that exists, must be new, or fit to another one.
my $refers = qr/(?:^|_)(?:id|uid|goal|activity|reward|token|refresh|password2?|availability|username|email|ended_at)$/;

# Further ones of a route: a meeting lies in the hours that are offered; the mentee can only cancel it.
my %refers = ('session.request' => [qw(start_time session_length)], 'session.change' => ['status']);

# Keys of responses that show what the case has created before the request.
my %earlier = (
    'admin.user' => [qw(is_mentor is_mentee phone_number)],
    'coding_profile.update' => ['profile_pic'],
    'eco.reject' => [qw(kind verification_proof)],
    'eco.verify' => [qw(kind verification_proof)],
    'profile.update' => ['profile_photo'],
    'reviews.check' => ['feedback'],
    'reviews.submit' => [qw(breakdown feedback)],
    'rewards.redeem' => ['message'],
    'session.change' => ['status'],
    'sessions.autosave' => ['chat_messages'],
    'sessions.pause' => ['chat_messages'],
    'sessions.resume' => ['chat_messages'],
    'submissions.from_session' => ['chat_messages'],
    'submissions.update' => ['chat_messages'],
    'tutoring.leave' => ['participants'],
);

sub deref {
    my ($part) = @_;
    while (ref $part eq 'HASH' && $part->{'$ref'}) {
        my ($empty, @keys) = split m{/}, $part->{'$ref'};
        $part = $document;
        $part = $part->{s/~1/\//gr} for @keys;
    }
    return $part;
}

# The example of a media type.
sub example_of {
    my ($media) = @_;
    return $media->{example} if exists $media->{example};
    my ($first) = sort keys %{ $media->{examples} || {} };
    return defined $first ? deref($media->{examples}{$first})->{value} : deref($media->{schema})->{example};
}

# The example; its members that refer to something are those of the case, and absent where the case has none.
sub body_of {
    my ($route, $example, $given) = @_;
    $given = $given->[0] if ref $given eq 'ARRAY';
    my %also = map { $_ => 1 } @{ $refers{ $route->{name} } || [] };
    my $is_replaced = sub { $also{ $_[0] } || $_[0] =~ $refers };
    my %own = map { $_ => $example->{$_} } grep { !$is_replaced->($_) } keys %$example;
    my %given = map { $_ => $given->{$_} } grep { $is_replaced->($_) } keys %{ $given || {} };
    return { %own, %given };
}

# Where the example of a response and a response differ: in words of closed sets, truth values, sentences, and in what
# is null or empty. `earlier`: keys that are not compared.
sub differences {
    my ($example, $real, $schema, $at, $earlier) = @_;
    $schema = deref($schema || {});
    return "$at is null in one of them" if defined $example != defined $real;
    if (ref $example eq 'HASH') {
        return map { differences($example->{$_}, $real->{$_}, $schema->{properties}{$_}, "$at.$_", $earlier) }
            grep { !$earlier->{$_} && $schema->{properties}{$_} } sort keys %$example;
    }
    if (ref $example eq 'ARRAY') {
        return "$at is empty in one of them" if !@$example != !@$real;
        return @$example ? differences($example->[0], $real->[0], $schema->{items}, "$at\[0]", $earlier) : ();
    }
    my $is_fixed = $schema->{enum} || exists $schema->{const} || JSON::XS::is_bool($example)
        || $at =~ /\.(?:message|detail)$/;
    return $is_fixed && defined $example && $example ne $real ? "$at: $example, but $real" : ();
}

# What the objects in examples must fulfil that have these keys.
my @rules = (
    [[qw(is_full available_spots)], sub { !$_->{is_full} == ($_->{available_spots} > 0) }],
    [[qw(available_spots max_participants participants)],
        sub { $_->{available_spots} + @{ $_->{participants} } == $_->{max_participants} }],
    [[qw(available_spots max_participants participant_count)],
        sub { $_->{available_spots} + $_->{participant_count} == $_->{max_participants} }],
    [[qw(can_join status is_full)], sub { !$_->{can_join} != ($_->{status} eq 'upcoming' && !$_->{is_full}) }],
    [[qw(creator participants)], sub { !grep { $_[0]{creator}{id} == $_->{user}{id} } @{ $_[0]{participants} } }],
    [[qw(status ended_at)], sub { !!$_->{ended_at} == !!($_->{status} =~ /^(?:submitted|completed|abandoned)$/) }],
    [[qw(status verified_at)], sub { !!$_->{verified_at} == ($_->{status} eq 'verified') }],
    [[qw(diagram_data diagram_hash)],
        sub {
            my $diagram = %{ $_->{diagram_data} } ? JSON::XS->new->utf8->canonical->encode($_->{diagram_data}) : '';
            return $_->{diagram_hash} eq md5_hex($diagram);
        }],
    [[qw(duration credits_awarded)],
        sub { $_->{duration} =~ /^(\d+):(\d+)/ && $_->{credits_awarded} == 5 * int((60 * $1 + $2) / 30) }],
    [[qw(start_time end_time session_length)],
        sub { $_->{end_time} eq $_->{start_time} =~ s/:00:00Z$/:$_[0]{session_length}:00Z/r }],
    [[qw(xp_total xp_physique xp_energy xp_logic xp_creativity xp_social)],
        sub {
            my $sum = 0;
            $sum += $_[0]{"xp_$_"} for qw(physique energy logic creativity social);
            return $sum == $_->{xp_total};
        }],
    [[qw(score max_score breakdown)],
        sub {
            my $sum = 0;
            $sum += $_->{points} for @{ $_->{breakdown} };
            return $sum == $_->{score};
        }],
);

my (%applied, %generic);

# Checks the rules for an example and all objects in it, and counts texts that say nothing.
sub check_rules {
    my ($name, $value) = @_;
    if (ref $value eq 'ARRAY') {
        check_rules($name, $_) for @$value;
    }
    return $generic{$name}++ if defined $value && !ref $value && $value eq 'A text';
    return if ref $value ne 'HASH';
    for my $rule (@rules) {
        my ($keys, $holds) = @$rule;
        next if grep { !exists $value->{$_} } @$keys;
        $applied{"@$keys"}++;
        local $_ = $value;
        ok($holds->($value), "$name: @$keys");
    }
    check_rules($name, $_) for values %$value;
    return;
}

my ($examples, $compared) = (0, 0);
for my $route (@{ LearnHub::Routes::table()->{routes} }) {
    my $path = $route->{path} =~ s/\{(\w+):\w+\}/{$1}/gr;
    my $operation = $document->{paths}{$path}{ lc $route->{method} };
    next if !ok($operation, "$route->{name} is described");
    my ($id, %with) = case_of($route);
    my $content = (deref($operation->{requestBody}) || {})->{content} || {};
    my ($type) = grep { $content->{$_} } qw(application/json application/x-www-form-urlencoded);
    if ($type) {
        my $example = example_of($content->{$type});
        ok(ref $example eq 'HASH' && %$example, "$route->{name} has an example");
        my $name = $type =~ /json/ ? 'json' : 'form';
        $with{$name} = body_of($route, $example, $with{$name});
        $examples++;
    }
    my $reply = api($route->{method} => path_of($route, $id), %with);
    ok($reply->status =~ /^2/ && $operation->{responses}{ $reply->status }, "$route->{name}: the example succeeds")
        || diag($reply->summary);
    my $media = ($operation->{responses}{ $reply->status }{content} || {})->{'application/json'};
    next if !$media || $route->{method} eq 'GET';
    my %earlier = map { $_ => 1 } @{ $earlier{ $route->{name} } || [] };
    my @differences = differences($media->{example}, $reply->json, $media->{schema}, '', \%earlier);
    is_deeply(\@differences, [], "$route->{name}: the example of the response agrees with the response");
    $compared++;
}
cmp_ok($compared, '>', 40, 'examples of responses have been compared');
cmp_ok($examples, '>', 50, 'operations have examples of bodies');

# Of the media types of responses, pictures, scripts and stylesheets have no example.
for my $path (sort keys %{ $document->{paths} }) {
    for my $operation (values %{ $document->{paths}{$path} }) {
        my $name = $operation->{operationId};
        check_rules($name, $_->{example}) for values %{ ($operation->{requestBody} || {})->{content} || {} };
        for my $status (grep { /^2/ || ($_ == 503 && $path eq '/health') } keys %{ $operation->{responses} }) {
            my $content = $operation->{responses}{$status}{content} || {};
            check_rules("$name $status", $content->{$_}{example}) for sort keys %$content;
            my @without = grep { !m{^image/|^text/(?:css|javascript)$} && !exists $content->{$_}{example} }
                sort keys %$content;
            is_deeply(\@without, [], "$name $status has examples");
        }
    }
}
is(scalar keys %applied, @rules, 'each rule applies to an example');
is_deeply(\%generic, {}, 'no example is a text that says nothing');
my $health = $document->{paths}{'/health'}{get}{responses}{503}{content}{'application/json'}{example};
is_deeply([@$health{qw(status database)}], [qw(unhealthy unreachable)], 'the example of 503 differs from that of 200');

done_testing;
