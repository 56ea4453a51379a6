# SPDX-License-Identifier: Apache-2.0
# The example of each operation of /openapi.json is a request that succeeds. The ids, names and tokens in it are
# replaced by those of t/lib/LearnHub/Cases.pm, which creates what the request refers to.
use strict;
use warnings;

use LearnHub::Cases;
use LearnHub::Routes;
use LearnHub::Test;

create_callers();
my $document = api(GET => '/openapi.json')->json or die 'no /openapi.json';

# Members that refer to something that exists, must be new, or fit to another one.
my $refers = qr/(?:^|_)(?:id|uid|goal|activity|reward|token|refresh|password2?|availability|username|email|ended_at)$/;

# Further ones of a route: a meeting lies in the hours that are offered; the mentee can only cancel it.
my %refers = ('session.request' => [qw(start_time session_length)], 'session.change' => ['status']);

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

my $examples = 0;
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
}
cmp_ok($examples, '>', 50, 'operations have examples of bodies');

done_testing;
