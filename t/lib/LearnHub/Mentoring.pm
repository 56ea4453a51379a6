# SPDX-License-Identifier: Apache-2.0
# Mentors, their availabilities and session requests.
package LearnHub::Mentoring;

use strict;
use warnings;
use utf8;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(mentor offer offer_year request_session);

# A new user with a mentor profile. mentor(first_name =>, last_name =>, about_me =>, skills =>): all optional.
sub mentor {
    my (%over) = @_;
    my %profile = (about_me => 'I mentor', skills => 'CSS, Go', %over);
    my ($first, $last) = delete @profile{qw(first_name last_name)};
    my $mentor = signup(first_name => $first // 'Ment', last_name => $last // 'Ör');
    my $reply = api_as($mentor, POST => '/mentorinfo/', json => \%profile);
    $reply->status == 201 or die $reply->summary;
    return $mentor;
}

# Creates an availability; returns the reply.
sub offer {
    my ($mentor, $from, $to) = @_;
    return api_as($mentor, POST => '/availabilty/', json => { start_time => $from, end_time => $to });
}

# Creates an availability for the year 2040; returns its id.
sub offer_year {
    my ($mentor) = @_;
    return offer($mentor, '2040-01-01T00:00:00Z', '2041-01-01T00:00:00Z')->json->{pk};
}

# Requests a session of $minutes (default 30); returns the reply.
sub request_session {
    my ($mentee, $availability, $start, $minutes) = @_;
    my %body = (mentor_availability => $availability, start_time => $start, session_length => $minutes || 30);
    return api_as($mentee, POST => '/sessionrequest/', json => \%body);
}

1;
