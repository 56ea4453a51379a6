# SPDX-License-Identifier: Apache-2.0
# All responses that the tests before this one have received (t/lib/LearnHub/Exchange.pm) are those that /openapi.json
# describes: their statuses, media types, headers and keys. So are the requests that succeeded. In a run of all tests,
# each operation has succeeded.
use strict;
use warnings;

use JSON::XS ();

use LearnHub::Test;

my $document = "$top/build/exchanges/openapi.json";

my $reply = api(GET => '/openapi.json');
is($reply->status, 200, 'the server describes its APIs') || diag($reply->summary);
mkdir "$top/build/exchanges";
open my $out, '>:raw', $document or die "$document: $!";
print $out $reply->body;
close $out or die $!;

my @files = grep { !/99-described/ } map { glob qq("$_/*.jsonl") } split /:/, $ENV{LEARNHUB_EXCHANGES};
open my $check, '-|', 'node', "$top/t/described/check.js", "$top/build/described", $document, @files or die "node: $!";
my $result = JSON::XS->new->utf8->decode(join '', <$check>);
ok(close $check, 'the check came to its end');

note("$result->{checked} kinds of exchanges were checked, $result->{left} are not those of the module");

# A finding with the first exchange that shows it.
sub shown {
    my ($finding) = @_;
    my $exchange = $finding->{exchange};
    my $sent = defined $exchange->{sent} ? ' ' . substr $exchange->{sent}, 0, 300 : '';
    my $received = substr $exchange->{body} // '', 0, 300;
    return "$finding->{text}\n    $finding->{count} in @{ $finding->{tests} }: "
        . "$exchange->{method} $exchange->{path}$sent\n    $received";
}

my @findings = map { shown($_) } @{ $result->{findings} };
ok(!@findings, 'all exchanges are described') || diag(join "\n", @findings[0 .. ($#findings < 79 ? $#findings : 79)]);
is_deeply($result->{unnoticed}, [], "changes of exchanges of $result->{planted} operations would be noticed");

if ($ENV{LEARNHUB_COMPLETE}) {
    my $operations = $result->{operations};
    my @silent = grep { !grep {/^2/} @{ $operations->{$_}{received} } } sort keys %$operations;
    is_deeply(\@silent, [], 'every operation has succeeded in a test');
    cmp_ok($result->{checked}, '>', 3000, 'the exchanges of all tests were recorded');
}

done_testing;
