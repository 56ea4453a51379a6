# SPDX-License-Identifier: Apache-2.0
# The front end of practice in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Test;

my $author = signup();
my %problem = (title => unique('Design a link shortener'), description => 'Short links.', difficulty => 'medium',
    categories => [unique('Links')],
    requirements => ['A cache for popular links', 'A database of links', 'A rate limiter']);

sub problem {
    my $made = api_as($author, POST => '/problems/', json => \%problem);
    is($made->status, 201, 'there is a problem') || diag($made->summary);
    return \%problem;
}

frontend('practice', answers => { problem => \&problem, address => sub { return unique('mia') . '@example.com' } });

done_testing;
