# SPDX-License-Identifier: Apache-2.0
# PostgreSQL restarted under load.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Test;

expect_log(qr/LH0031: /, qr/LH0004: /, qr/LH0005: /, qr/SQLSTATE 57P0\d/, qr/\[dbd:error\]/);

my $node = second_httpd(node_directives());
my $ledger = ledger(nodes => [$node->port], clients => 16);

for my $mode (qw(fast immediate)) {
    subtest "a restart of PostgreSQL in mode $mode" => sub {
        my $fault = sub { my ($mark) = @_; pg('stop', '-m', $mode); pg('start'); $mark->('started') };
        my $run = $ledger->under_load(fault => $fault, after => 2);
        consistent($run, "restart $mode");
        ok(1);
    };
}
done_testing;
