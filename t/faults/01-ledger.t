# SPDX-License-Identifier: Apache-2.0
# The ledger itself: what it finds if the database is changed behind its back.
use strict;
use warnings;

use LearnHub::Ledger;
use LearnHub::Test;

my $ledger = ledger(clients => 12, nodes => [second_httpd(node_directives())->port], pause => 0);
my $run = $ledger->under_load(before => 2, after => 0);
consistent($run, 'no fault');
my %kinds = map { $_->{kind} => 1 } grep { $_->{status} =~ /^2/ } $run->entries;
my @expected = qw(autosave booking chat coding create credits eco index join leave me page problem problems session
    signup spend streamed xp);
is_deeply([sort keys %kinds], \@expected, 'requests of each kind succeed');

# What the ledger finds after a change, which is undone.
sub found_after {
    my ($change, @values) = @_;
    database()->begin_work;
    sql($change, @values);
    my $wrong = $ledger->compare;
    database()->rollback;
    return join ' ', grep { @{ $wrong->{$_} } } sort keys %$wrong;
}

sub one_of {
    my ($kind) = @_;
    my ($entry) = grep { $_->{kind} eq $kind && $_->{status} =~ /^2/ } $run->entries;
    return $entry->{key};
}

my $copy = q(INSERT INTO learnhub.problems (title, description, difficulty, created_by)
    SELECT title, description, difficulty, created_by FROM learnhub.problems WHERE title = ?);
is(found_after('DELETE FROM learnhub.problems WHERE title = ?', one_of('problem')), 'lost', 'a row that is missing');
is(found_after($copy, one_of('problem')), 'doubled', 'a second row');
is(found_after('DELETE FROM learnhub.eco_activities WHERE description = ?', one_of('eco')), 'lost', 'of another table');
is(found_after('UPDATE learnhub.practice_sessions SET time_spent = 0 WHERE user_id = ?', $ledger->{people}[0]{id}),
    'saves', 'an old auto-save');
is(found_after(q(DELETE FROM learnhub.outbox WHERE subject_ref LIKE 'session %')), 'mails', 'missing mails');
is(found_after('UPDATE learnhub.tutoring_sessions SET participant_count = 1 WHERE title = ?', one_of('create')),
    'seats', 'a counter of seats');
is(found_after('DELETE FROM learnhub.coding_sessions WHERE session_name = ?', ''), 'balances', 'a negative balance');
my ($refused) = grep { $_->{kind} eq 'problem' } $ledger->entries;
{
    local $refused->{status} = 400;
    is(found_after('SELECT 1'), 'refused', 'a row of a write that was refused');
}
is(found_after('SELECT 1'), '', 'nothing without a change');

done_testing;
