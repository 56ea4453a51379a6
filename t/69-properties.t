# SPDX-License-Identifier: Apache-2.0
# Generated requests to every operation of /openapi.json: valid ones, values at the limits, other types, unknown keys,
# hostile texts, broken bodies, wrong tokens, paths, queries, headers and media types. Each response is one that the
# document describes and no error of the server; a request that the document excludes does not succeed.
# PROPERTY_REQUESTS (1500) is their number, PROPERTY_SEED selects others, PROPERTY_ONLY, a regular expression, some
# operations; a finding shows the command that repeats the request.
use strict;
use warnings;

use JSON::XS ();

use LearnHub::Cases;
use LearnHub::Routes;
use LearnHub::Test;

my $json = JSON::XS->new->utf8->canonical;
my $count = $ENV{PROPERTY_REQUESTS} || 1500;
my $seed = $ENV{PROPERTY_SEED} // 1;
my $folder = "$top/build/exchanges";

create_callers();
my $server = second_httpd("LearnHubRate Off\n");
my $document = api(GET => '/openapi.json');
is($document->status, 200, 'the server describes its APIs');

sub write_file {
    my ($name, $bytes) = @_;
    mkdir $folder;
    open my $out, '>:raw', "$folder/$name" or die "$name: $!";
    print $out $bytes;
    close $out or die "$name: $!";
    return "$folder/$name";
}

# Requests that end what they need, such as a token: some more of each.
my $ends = qr/^(?:DELETE|PUT|PATCH|POST .*(?:out|password|confirm|activation|leave|join|start|cancel|spend|redeem))/;

# {"GET /path" => [{id, token, json, form, query}]}: valid requests of the operations.
sub cases {
    my %cases;
    for my $route (@{ LearnHub::Routes::table()->{routes} }) {
        my $name = "$route->{method} " . $route->{path} =~ s/\{(\w+):\w+\}/{$1}/gr;
        next if ($ENV{PROPERTY_ONLY} // '') ne '' && $name !~ /$ENV{PROPERTY_ONLY}/;
        my $times = $count < 5000 ? 1 : $name =~ $ends ? 4 : 2;
        for (1 .. $times) {
            my ($id, %with) = case_of($route);
            $id = user(signup()->{email})->{id} if $route->{name} eq 'admin.user'; # the callers keep their roles
            push @{ $cases{$name} }, { id => $id, map { $_ => $with{$_} } qw(token json form query) };
        }
    }
    return \%cases;
}

my $input = write_file('properties.json', $json->encode({
            packages => "$top/build/described", base => 'http://127.0.0.1:' . $server->port, count => $count,
            seed => $seed,
            document => write_file('openapi.json', $document->body), cases => cases(), only => $ENV{PROPERTY_ONLY},
            tokens => [map { $caller{$_}{token} } sort keys %caller],
}));
open my $run, '-|', 'node', "$top/t/described/properties.js", $input or die "node: $!";
my $result = $json->decode(join '', <$run>);
ok(close $run, 'the requests were sent');

is($result->{sent}, $count, "$count requests, PROPERTY_SEED=$seed");
my @findings = map {"$_->{text}\n    $_->{count} times, $_->{kind} (seed $_->{seed}): $_->{curl}\n    $_->{answer}"}
    @{ $result->{findings} };
ok(!@findings, 'every response is described, and no request that the document excludes succeeds')
    || diag(join "\n", @findings[0 .. ($#findings < 79 ? $#findings : 79)]);
note('rejected, although the document allows them:',
    map {"\n  $result->{rejected}{$_} $_"} sort { $a cmp $b } keys %{ $result->{rejected} });

my %received;
for my $statuses (values %{ $result->{statuses} }) { $received{$_} += $statuses->{$_} for keys %$statuses }
note(join ', ', map {"$_: $received{$_}"} sort keys %received);
if (!$ENV{PROPERTY_ONLY}) {
    cmp_ok($received{$_} // 0, '>', $count / 200, "responses with status $_") for qw(200 201 400 401 404 422);
}

done_testing;
