# SPDX-License-Identifier: Apache-2.0
# The start page, the plain page and /docs in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Test;

my $student = signup();

frontend('docs',
    path => '/',
    directives => "LearnHubDocs $top/build/docs\nLearnHubAPI tutoring\n", # axe takes long for all of them
    answers => {
        address => sub { return unique('ina') . '@example.com' },
        instructor => sub { my ($email) = @_; return scalar role($email, 'instructor') },
        student => sub { return { map { $_ => $student->{$_} } qw(email password) } },
        participants => sub {
            my ($session) = @_;
            return [map { $_->{email} } sql('SELECT u.email FROM learnhub.tutoring_participants p '
                        . 'JOIN learnhub.users u ON u.id = p.user_id WHERE p.session_id = ?', $session)];
        },
    });

done_testing;
