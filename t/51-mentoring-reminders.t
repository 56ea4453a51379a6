# SPDX-License-Identifier: Apache-2.0
# Reminders from the session to the mail, over real SMTP, with two httpd servers on one database: the settings of each
# user, each reminder once across servers and restarts, none for a canceled session, none after its start.
use strict;
use warnings;
use utf8;

use LearnHub::Mail;
use LearnHub::Mentoring;
use LearnHub::Test;
use LearnHub::Users;

my $mail_server = LearnHub::Mail->new->start;
my $smtp = 'LearnHubSMTP ' . $mail_server->url . "\nLearnHubMailFrom learnhub\@house.example\n";
my $hours = 0;

# Switches notifications of a user on.
sub switch_on {
    my ($user, @names) = @_;
    my $path = '/notificationsettings/' . user_id($user);
    api_as($user, PATCH => $path, json => { map { $_ => true } @names })->status == 200 or die;
    return;
}

my $mentor = mentor(first_name => 'Mentor', last_name => 'Ünal');
my $mentee = signup(first_name => 'Mentee', last_name => 'Ünal');
switch_on($mentor, qw(sixty_minute_alert fifteen_minute_alert session_canceled));
switch_on($mentee, qw(sixty_minute_alert));
sql('UPDATE learnhub.users SET email_verified_at = now() WHERE email = ?', $mentee->{email});
my $year = offer_year($mentor);

# A confirmed session that starts in so many minutes.
sub confirmed {
    my ($minutes) = @_;
    my $start = sprintf '2040-%02d-%02dT10:00:00Z', 1 + int($hours / 28), 1 + $hours % 28;
    $hours++;
    my $pk = request_session($mentee, $year, $start)->json->{pk};
    api_as($mentor, PATCH => "/sessionrequest/$pk", json => { status => 'Confirmed' })->status == 201 or die;
    sql('UPDATE learnhub.mentoring_sessions SET starts_at = now() + make_interval(secs => ?) WHERE id = ?',
        60 * $minutes, $pk);
    return $pk;
}

# The mails accepted so far: "address subject" => number.
sub accepted {
    my %count;
    $count{"$_->{to} $_->{headers}{subject}"}++ for $mail_server->accepted;
    return \%count;
}

# The states of the mails of a session.
sub states_of {
    my ($pk) = @_;
    my @mails = sql('SELECT state FROM learnhub.outbox WHERE subject_ref = ? AND to_address IN (?, ?) ORDER BY id',
        "session $pk", $mentor->{email}, $mentee->{email});
    return map { $_->{state} } @mails;
}

# Waits until no mail is waiting or being sent.
sub nothing_waits {
    return eventually(sub { !sql("SELECT 1 FROM learnhub.outbox WHERE state IN ('waiting', 'sending')") }, 20);
}

sql("UPDATE learnhub.outbox SET state = 'sent' WHERE state = 'waiting'"); # left by other test files
my @nodes = map { second_httpd($smtp) } 1, 2;
my $hour = 'Your session starts within 60 minutes';
my $quarter = 'Your session starts within 15 minutes';

subtest 'Two servers send each reminder once, to the users who have switched it on' => sub {
    my @soon = map { confirmed(55) } 1 .. 5;
    ok(eventually(sub { 10 == grep { $_ eq 'sent' } map { states_of($_) } @soon }, 30),
        'the servers send the 60-minute reminders of five sessions');
    is_deeply(accepted(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5 },
        'mentor and mentee get one mail per session');
    my ($mail) = grep { $_->{to} eq $mentee->{email} } $mail_server->accepted;
    like($mail->{text}, qr/With: Mentor Ünal\n.*UTC \(\+00:00\)/s,
        'the mail has the other user and the time in UTC');
    sql("UPDATE learnhub.mentoring_sessions SET starts_at = now() + interval '14 minutes' WHERE id = ?", $soon[0]);
    ok(eventually(sub { (accepted()->{"$mentor->{email} $quarter"} || 0) == 1 }, 30),
        'the 15-minute reminder goes to the user who has switched it on');
};

subtest 'Restarts do not repeat a reminder' => sub {
    $nodes[0]->restart('restart');
    $nodes[1]->graceful;
    nothing_waits();
    sleep 6; # longer than the interval of the job
    is_deeply(accepted(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5,
            "$mentor->{email} $quarter" => 1 }, 'a restart and a graceful restart send no mail again');
};

subtest 'No reminder is sent for a session that is canceled or has begun while mails wait' => sub {
    expect_log(qr/LH0022: /);
    $mail_server->stop;
    my $canceled = confirmed(50);
    my $late = confirmed(14);
    ok(eventually(sub { states_of($canceled) == 2 && states_of($late) == 1 }, 30),
        'reminders wait while the mail server is down');
    is(api_as($mentee, PATCH => "/sessionrequest/$canceled", json => { status => 'Canceled' })->status, 201,
        'a session is canceled while its reminders wait');
    sql("UPDATE learnhub.outbox SET not_after = now() WHERE subject_ref = ?", "session $late");
    ok(eventually(sub { (states_of($late))[0] eq 'expired' }, 30),
        'the reminder of the other session expires at its start');
    $mail_server->start;
    ok(nothing_waits(), 'nothing waits after the mail server is back');
    is_deeply(accepted(), { "$mentor->{email} $hour" => 5, "$mentee->{email} $hour" => 5,
            "$mentor->{email} $quarter" => 1, "$mentor->{email} Your session was canceled" => 1 },
        'no reminder of either session is sent; the mentor gets the cancellation');
};

done_testing();
