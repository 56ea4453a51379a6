# SPDX-License-Identifier: Apache-2.0
# Receives long responses and measures the memory of the server's processes meanwhile.
package LearnHub::Stream;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(receive_measured);

# GET of $path: (status, body, most), where most is the largest private memory of a process meanwhile, in KB.
sub receive_measured {
    my ($user, $path) = @_;
    my ($body, $most, $chunks) = ('', 0, 0);
    my $receive = sub {
        $body .= $_[0];
        return if ++$chunks % 200;
        my $now = resident();
        $most = $now if $now > $most;
    };
    my $response = LearnHub::Test::agent()->get('http://127.0.0.1:' . port() . $path,
        Authorization => "Bearer $user->{token}", ':content_cb' => $receive);
    return ($response->code, $body, $most);
}

1;
