# SPDX-License-Identifier: Apache-2.0
# The front end of mentoring in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Mentoring;
use LearnHub::Test;

my %id; # of users, by the first part of their name

sub name {
    my ($stem) = @_;
    return $id{$stem} = unique($stem);
}

# Another mentor has an availability, which the first mentor's list does not show.
sub another_mentor {
    return offer_year(mentor());
}

# Inserts two sessions of the mentor and the mentee in the past, the later one first.
sub earlier_sessions {
    my ($mentor, $mentee) = map { user("$id{$_}\@example.com")->{id} } qw(mentor mentee);
    for my $day ('2020-02-02', '2020-01-01') {
        my ($slot) = sql('INSERT INTO learnhub.availabilities (mentor_id, starts_at, ends_at) '
                . "VALUES (?, ?::timestamptz, ?::timestamptz + interval '1 hour') RETURNING id",
            $mentor, $day, $day);
        sql('INSERT INTO learnhub.mentoring_sessions '
                . '    (availability_id, mentor_id, mentee_id, starts_at, session_length) '
                . 'VALUES (?, ?, ?, ?, 30)', $slot->{id}, $mentor, $mentee, $day);
    }
    return;
}

frontend('mentoring',
    answers => { name => \&name, another_mentor => \&another_mentor, earlier_sessions => \&earlier_sessions });

done_testing;
