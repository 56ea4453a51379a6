# SPDX-License-Identifier: Apache-2.0
# The front end of coding in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Test;

my $admin = signup(role => 'admin');

# The leaderboard shows this front end's user only.
sql('UPDATE learnhub.coding_profiles SET on_leaderboard = false');

sub reward {
    my ($reward) = @_;
    my $made = api_as($admin, POST => '/api/rewards/', json => $reward);
    return is($made->status, 201, 'an admin makes a reward') || diag($made->summary);
}

frontend('coding', answers => {
        reward => \&reward,
        address => sub { return unique('eve') . '@example.com' },
        admin => sub { return { map { $_ => $admin->{$_} } qw(email password) } },
});

done_testing;
