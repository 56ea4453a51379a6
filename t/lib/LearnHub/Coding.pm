# SPDX-License-Identifier: Apache-2.0
# Functions for the tests of the coding API.
package LearnHub::Coding;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Test;
use LearnHub::Users;

our @EXPORT = qw(data credits give rows);

# The data of a successful response in the envelope.
sub data {
    my ($reply, $status) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = $reply->json;
    ok($reply->status == ($status || 200) && ref $json eq 'HASH' && "@{keys_of($json)}" eq 'data success'
            && $json->{success}, $reply->name . ' returns ' . ($status || 200) . ' with data') || diag($reply->summary);
    return $json->{data};
}

sub credits { my ($owner) = @_; return api_as($owner, GET => '/api/credits/me/')->json->{data} }

# Gives a user unlocked sessions of 240 credits each; returns the user.
sub give {
    my ($owner, $sessions) = @_;
    sql("INSERT INTO learnhub.coding_sessions (user_id, seconds, source, status)
        SELECT ?, 86400, 'manual', 'unlocked' FROM generate_series(1, ?::int)", user_id($owner), $sessions);
    return $owner;
}

# The number of rows that a user has in a table.
sub rows {
    my ($table, $owner) = @_;
    return (sql("SELECT count(*) AS n FROM learnhub.$table WHERE user_id = ?", user_id($owner)))[0]{n};
}

1;
